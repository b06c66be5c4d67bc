# SPDX-License-Identifier: MIT
"""Half an hour of pressure, thirty seeds, also on a kernel that checks itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.audit.pressure import WRONG_DATA, WRONG_TAGS, hold_pressure
from harness.target import parse_target
from harness.verdict.splat import find_splats
from tests.conftest import few

if TYPE_CHECKING:
    from harness.session import Session

SEEDS = range(1, 31)
SECONDS = 60


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kernel", ["tag-storage", "tag-storage-debug"])
def test_a_minute_of_pressure(kernel: str, seed: int, harness_session: Session) -> None:
    """Nothing is wrong, nothing is said, and no block is reserved that nobody holds."""
    template = harness_session.prepare(parse_target(kernel, None))
    with harness_session.guest(template) as guest:
        guest.audit()  # what it has to learn about the kernel takes memory of the guest's
        held = hold_pressure(guest, harness_session.programs, seed=seed, seconds=SECONDS)
        audit = guest.audit(held.expected())
        assert not held.damaged
        assert few(held.frames(WRONG_TAGS) | held.frames(WRONG_DATA)) == []
        text = audit.text()
        assert audit.clean, text
        assert guest.exec("cat /proc/sys/kernel/tainted").stdout.strip() == "0"
        splats = find_splats(guest.console.text())
        assert not splats, splats[0].title
