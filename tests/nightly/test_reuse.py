# SPDX-License-Identifier: MIT
"""A kernel that reuses tag storage, under pressure, on the machine where a mistake hurts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.held_pressure import hold_and_complain

if TYPE_CHECKING:
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session


@pytest.mark.parametrize("kernel", ["tag-storage", "tag-storage-7.3"])
@pytest.mark.parametrize(
    "machine_name",
    ["dram/tag-storage", "dram-two-regions/tag-storage", "dram-8k-blocks/tag-storage"],
)
def test_reuse_under_pressure(
    kernel: str, machine_name: str, launch: Launcher, harness_session: Session
) -> None:
    """Program and auditor agree that nothing is wrong while tag storage holds data."""
    with launch(kernel, machine_name) as guest:
        assert hold_and_complain(guest, harness_session.programs, seed=1, seconds=4) == []
