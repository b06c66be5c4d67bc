# SPDX-License-Identifier: MIT
"""A kernel that reuses tag storage, under pressure, on the machine where a mistake hurts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.suite.target import parse_target
from tests.support.held_pressure import hold_and_complain

if TYPE_CHECKING:
    from harness.suite.session import Session


@pytest.mark.parametrize(
    "machine",
    ["dram/tag-storage", "dram-two-regions/tag-storage", "dram-8k-blocks/tag-storage"],
)
def test_reuse_under_pressure(machine: str, harness_session: Session) -> None:
    """Program and auditor agree that nothing is wrong while tag storage holds data."""
    template = harness_session.prepare(parse_target("tag-storage", machine))
    with harness_session.guest(template) as guest:
        assert hold_and_complain(guest, harness_session.programs, seed=1, seconds=4) == []
