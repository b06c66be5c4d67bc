# SPDX-License-Identifier: MIT
"""The SSH server in the guest: what it takes for itself is not held against the program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from harness.core.paths import resources
from harness.suite.gather import run_source
from harness.verdict.judge import Status

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.suite.session import Session

PROGRAM = resources() / "tests" / "system" / "programs" / "pass.c"
MARGIN_KB = 512  # half of what AnonPages may grow by (harness/verdict/counters.py)


def test_files_that_were_pushed_before_are_no_leak(guest: Guest, harness_session: Session) -> None:
    guest.push(os.urandom(3 << 20), "data")
    run = run_source(guest, PROGRAM, (), harness_session.programs, seconds=60, speaks_ktap=False)
    assert run.verdict.status is Status.PASS, run.verdict.text()
    assert run.before is not None
    assert run.after is not None
    assert run.after.meminfo["AnonPages"] - run.before.meminfo["AnonPages"] < MARGIN_KB
