# SPDX-License-Identifier: MIT
"""Sets up a fresh machine, so that it can run the harness.

``scripts/`` run this with the distribution's Python, before the virtual environment exists, and so
with the standard library only:

    /usr/bin/python3 -P -m harness.host.bootstrap [PROGRAM [ARGUMENT ...]]

installs what is missing, then executes ``.venv/bin/PROGRAM`` in its place. If nothing is missing,
it prints nothing, uses no network and takes about a tenth of a second.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, is_disk_full
from harness.core.errors import (
    INTERRUPTED,
    HarnessError,
    QemuTooOldError,
    SetupError,
)
from harness.core.progress import Progress, plain_progress
from harness.host import apt, venv
from harness.host.child import unwind_on_sigterm
from harness.host.needs import SYSTEM_PATH, Survey, distribution, os_id, survey

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]


def bootstrap(root: Path, progress: Progress, argv: Sequence[str] = ()) -> None:
    """Install missing packages, and make the virtual environment if it is missing or old.

    ``argv`` is the command to come, whose options may need more. Raise SetupError, NetworkError,
    DiskFullError or QemuTooOldError.
    """
    where = distribution(os_id())
    found = survey(where).with_options(argv)
    if found.missing:
        apt.install(found, progress)
        found = survey(where).with_options(argv)
        if found.packages:
            raise _still_missing(found)
    venv.ensure(root, progress)


def main(argv: list[str]) -> int:
    """Set up, then replace this process by ``argv``, a program of ``.venv/bin``.

    Return only without ``argv`` (0), or with the exit status of an error.
    """
    unwind_on_sigterm()
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    try:
        with plain_progress() as progress:
            bootstrap(ROOT, progress, argv)
        if not argv:
            return 0
        # The scripts set PYTHONPATH for this process only: .venv has the package installed.
        os.environ.pop("PYTHONPATH", None)
        # Python finds its virtual environment by the path of its executable, argv[0].
        program = str(ROOT / ".venv/bin" / argv[0])
        os.execv(program, [program, *argv[1:]])
    except KeyboardInterrupt:
        print("\nmte-harness: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        return _report(_os_error(error))
    except HarnessError as error:
        return _report(error)


def _report(error: HarnessError) -> int:
    print(f"mte-harness: {error}", file=sys.stderr)
    if error.details:
        print(error.details, file=sys.stderr)
    return error.status


def _os_error(error: OSError) -> HarnessError:
    if is_disk_full(error):
        return disk_full(str(error.filename))
    if isinstance(error, PermissionError):
        return SetupError(str(error), f"run as the owner of {ROOT}")
    return HarnessError(str(error))


def _still_missing(found: Survey) -> HarnessError:
    rule = found.distribution.qemu
    if [need.name for need in found.missing] == ["qemu"] and found.qemu is not None:
        return QemuTooOldError(
            f"{found.qemu_path} is QEMU {found.qemu[0]}.{found.qemu[1]}, and comes before the "
            "installed one on PATH",
            f"remove it from PATH; {rule.minimum[0]}.{rule.minimum[1]} or newer is needed",
        )
    names = " ".join(found.packages)
    return SetupError(
        f"apt-get succeeded, but dpkg does not list: {names}", f"apt-cache policy {names}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
