# SPDX-License-Identifier: MIT
"""``mte-harness record fresh``: how long a command of the README takes on a fresh Debian."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.measure import measuring

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.measure.records import Record

SCRIPT = "scripts/in-debian"


def fresh_record(root: Path, release: str, command: Sequence[str]) -> Record:
    """Run ``command`` in a fresh Debian ``release`` and return the record of its wall time, in s.

    The Debian is made first, which does not count; nothing is in its cache. The output goes to
    the terminal. Raise HarnessError if the command, or the script, does not end with status 0.
    """
    start = measuring.begin(root)
    words = shlex.join(command)
    with tempfile.TemporaryDirectory(prefix="mte-fresh-") as directory:
        script = [str(root / SCRIPT), "--keep", f"{directory}/debian", release]
        _run([*script, "true"])
        clock = time.monotonic()
        _run([*script, *command])
        seconds = time.monotonic() - clock
    return measuring.new_record(
        "bootstrap",
        f"Debian {release}",
        start=start,
        root=root,
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
        values={f"{words}, nothing cached": measuring.value_of([seconds], "s")},
    )


def _run(command: Sequence[str]) -> None:
    status = subprocess.run(command, check=False).returncode
    if status:
        raise HarnessError(f"{shlex.join(command)} ended with {status}", "see its output above")
