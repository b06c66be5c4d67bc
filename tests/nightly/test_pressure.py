# SPDX-License-Identifier: MIT
"""A minute of memory pressure for each of thirty seeds, on tag-storage and on its debug build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import GuestLostError, HarnessError
from tests.support.held_pressure import hold_and_complain

if TYPE_CHECKING:
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

SEEDS = range(1, 31)
SECONDS = 60
# kernel-configs/reuse-mutants: what only shows in bytes of DRAM or in who holds a block.
MUTANTS = [7, 10, 13]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "kernel",
    ["tag-storage", "tag-storage-debug", "tag-storage-7.3", "tag-storage-7.3-debug"],
)
def test_a_minute_of_pressure(
    kernel: str, seed: int, launch: Launcher, harness_session: Session
) -> None:
    """Nothing is wrong, nothing is said, and no block is reserved that nobody holds."""
    with launch(kernel) as guest:
        programs = harness_session.programs
        assert hold_and_complain(guest, programs, seed=seed, seconds=SECONDS) == []


@pytest.mark.parametrize("number", MUTANTS)
def test_pressure_can_fail(number: int, launch: Launcher, harness_session: Session) -> None:
    """A kernel with one mistake does not get through."""
    with launch("reuse-mutants", append=f"metadata_mutant={number}", excused=True) as guest:
        try:
            complaints = hold_and_complain(guest, harness_session.programs, seed=1, seconds=4)
        except GuestLostError as lost:
            complaints = [str(lost)]
        except HarnessError as error:  # it ended: what it found is said in its output
            assert "not ok" in error.details, error
            complaints = [str(error)]
    assert complaints
