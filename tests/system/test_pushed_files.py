# SPDX-License-Identifier: MIT
"""Files for the guest: they arrive whole, and are not reported as the program's leak."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import HarnessError
from harness.core.paths import resources
from harness.suite.gather import run_program
from harness.suite.program import file_program
from harness.verdict.result import Status
from harness.vm.run_disk import DISK_SIZE

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.suite.session import Session

PROGRAM = resources() / "tests" / "system" / "programs" / "pass.c"
DIGEST = 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())'
MARGIN_KB = 512  # half of what AnonPages may grow by (harness/verdict/counters.py)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3 << 20])
def test_files_arrive_whole(guest: Guest, size: int) -> None:
    """Also the second one, which lies behind what the guest may have read of the disk before."""
    for name in ("a file", "another"):
        data = os.urandom(size)
        guest.push(data, name, mode=0o640)
        digest = hashlib.sha256(data).hexdigest()
        done = guest.exec(f"python3 -c '{DIGEST}' '{name}'; stat -c %a '{name}'")
        assert done.stdout.split() == [digest, "640"]


def test_a_file_that_the_run_disk_does_not_hold(guest: Guest) -> None:
    with pytest.raises(HarnessError, match="has no room on the run disk"):
        guest.push(bytes(DISK_SIZE), "big")


def test_files_that_were_pushed_before_are_no_leak(guest: Guest, harness_session: Session) -> None:
    guest.push(os.urandom(3 << 20), "data")
    page_size = guest.template.kernel.page_size
    program = file_program(PROGRAM, harness_session.programs, page_size=page_size, seconds=60)
    result = run_program(guest, program)
    assert result.status is Status.PASS, result.text()
    before, after = (sample.values["AnonPages"] for sample in result.samples)
    assert after - before < MARGIN_KB
