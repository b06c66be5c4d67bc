# SPDX-License-Identifier: MIT
"""A host that does less in a second than the time limits expect is given longer ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.core import errors
from harness.core.paths import checkout

PROGRAM = checkout("the tests") / "tests/system/programs/work.c"
# The command line, with a reference host that does the emulator check's work in no time.
COMMAND = """
import sys
from harness.vm import emulator_check
emulator_check.REFERENCE_SECONDS = float(sys.argv.pop(1))
from harness.cli import main
main()
"""


@pytest.mark.usefixtures("template")  # booted before the commands, and left out without --qemu
@pytest.mark.parametrize(
    ("reference", "slow", "said"),
    [("1000", False, "not finished after 1 s"), ("0.01", True, "ok 1")],
)
def test_time_limits(reference: str, slow: bool, said: str) -> None:
    """The work takes some ten seconds, and a starved guest is given five times the limit."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, reference, "run", "stock", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == errors.OK) == slow, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert ("this host runs guests slowly" in done.stderr) == slow
