# SPDX-License-Identifier: MIT
"""The timer, the service and the crontab line of docs/examples do what docs/nightly.md says."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.core.paths import checkout

if TYPE_CHECKING:
    from pathlib import Path

ROOT = checkout("the tests")
EXAMPLES = ROOT / "docs" / "examples"
SERVICE = EXAMPLES / "mte-harness-nightly.service"
INSTALLED = "/opt/mte-harness"


def own(text: str) -> str:
    """Return an example as it is where this checkout is the installed one."""
    return text.replace(INSTALLED, str(ROOT)).replace("User=mte\n", "")


def test_systemd_takes_both_units(tmp_path: Path) -> None:
    units = []
    for name in (SERVICE, SERVICE.with_suffix(".timer")):
        units.append(tmp_path / name.name)
        units[-1].write_text(own(name.read_text()))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "mte-harness" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_systemd_sees_a_mistake(tmp_path: Path) -> None:
    unit = tmp_path / SERVICE.name
    unit.write_text(own(SERVICE.read_text()).replace("ExecStart=", "ExecStart=/none"))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode or "mte-harness" in done.stderr


def run(line: str, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of an example on a matrix that takes a moment."""
    (tmp_path / "m.toml").write_text('[[entry]]\nsuite = "mutants"\nrotate = 1\nestimate = "1h"\n')
    more = ["--matrix", str(tmp_path / "m.toml"), "--results", str(tmp_path / "r"), *words]
    command = own(line).replace(">/dev/null", "") + " " + shlex.join(more)
    return subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, cwd="/"
    )


def test_the_command_of_the_service_and_of_the_crontab() -> None:
    (start,) = re.findall(r"^ExecStart=(.*)$", SERVICE.read_text(), re.MULTILINE)
    (line,) = re.findall(r"^0 21 \* \* \*  (.*)$", (EXAMPLES / "crontab").read_text(), re.MULTILINE)
    assert line == f"{start} >/dev/null"


def test_the_command_runs(tmp_path: Path) -> None:
    """All is left out of a night of a minute: what a night leaves is there all the same."""
    (start,) = re.findall(r"^ExecStart=(.*)$", SERVICE.read_text(), re.MULTILINE)
    done = run(start, tmp_path, "--dry-run", "--budget", "1m")
    assert done.returncode == 0, done.stderr
    assert "no time: 1 h 00 min expected" in done.stdout
    assert run(start, tmp_path, "--budget", "soon").returncode == UsageError.status
