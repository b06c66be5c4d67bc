# SPDX-License-Identifier: MIT
"""A kernel that reuses tag storage, under pressure, on the machine where a mistake hurts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.audit.pressure import TAGGED, WRONG_DATA, WRONG_TAGS, hold_pressure
from harness.target import parse_target
from tests.conftest import few

if TYPE_CHECKING:
    from harness.session import Session


@pytest.mark.parametrize(
    "machine",
    ["dram/tag-storage", "dram-two-regions/tag-storage", "dram-8k-blocks/tag-storage"],
)
def test_reuse_under_pressure(machine: str, harness_session: Session) -> None:
    """Program and auditor agree that nothing is wrong while tag storage holds data."""
    prepared = harness_session.prepare(parse_target("tag-storage", machine))
    with harness_session.guest(prepared) as guest:
        guest.audit()  # what it has to learn about the kernel takes memory of the guest's
        held = hold_pressure(guest, harness_session.programs, seed=1, seconds=4)
        audit = guest.audit(held.expected())
        storage = guest.dram.storage_frames()
        assert not held.damaged
        assert few(held.frames(WRONG_TAGS) | held.frames(WRONG_DATA)) == []
        assert few(held.frames(TAGGED) & storage) == []
        assert len(held.frames() & storage) > 100, "no data in tag storage: nothing is tested"
        text = audit.text()
        assert audit.clean, text
        assert (audit.tagged >= audit.expected, audit.expected > 10_000) == (True, True), text
