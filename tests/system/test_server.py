# SPDX-License-Identifier: MIT
"""The SSH server in the guest: memory that it takes is not reported as the program's leak."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from harness.core.paths import resources
from harness.suite.gather import run_program
from harness.suite.program import file_program
from harness.verdict.result import Status

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.suite.session import Session

PROGRAM = resources() / "tests" / "system" / "programs" / "pass.c"
MARGIN_KB = 512  # half of what AnonPages may grow by (harness/verdict/counters.py)


def test_files_that_were_pushed_before_are_no_leak(guest: Guest, harness_session: Session) -> None:
    guest.push(os.urandom(3 << 20), "data")
    page_size = guest.template.kernel.page_size
    program = file_program(PROGRAM, harness_session.programs, page_size=page_size, seconds=60)
    result = run_program(guest, program)
    assert result.status is Status.PASS, result.text()
    before, after = (sample.values["AnonPages"] for sample in result.samples)
    assert after - before < MARGIN_KB
