# SPDX-License-Identifier: MIT
"""Whether a test is unstable, by numbers. Pure.

A crash is never unstable: a splat or a lost guest is left out of the numbers, and is judged by
itself. What is no verdict (skipped, could not run) is left out, too.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.night import State

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 30  # nights that are looked at
FLIPS = 3  # a regression and its fix are two
CLEAN = 15  # passes in a row after which a test is stable again


@dataclass(frozen=True)
class Stability:
    """The numbers of one test or case in the last nights.

    ``flips``: how often it changed between passing and failing, a known bug being a failure.
    ``streak``: how many of the last verdicts are the same. ``crashes`` are in no other number.
    """

    passes: int
    fails: int
    flips: int
    streak: int
    crashes: int
    passing: bool

    @property
    def unstable(self) -> bool:
        """Whether one result more says little."""
        return self.flips >= FLIPS and not (self.passing and self.streak >= CLEAN)

    def __str__(self) -> str:
        last = "passed" if self.passing else "failed"
        crashes = f", {self.crashes} crashes" if self.crashes else ""
        return (
            f"{self.passes} passes, {self.fails} failures, {self.flips} flips, "
            f"last {self.streak} {last}{crashes}"
        )


def stability(states: Sequence[State]) -> Stability:
    """Return the numbers of ``states``, the oldest first."""
    crashes = sum(state.crash for state in states)
    good = [
        state in {State.PASS, State.EXPIRED}
        for state in states
        if state.conclusive and not state.crash
    ]
    flips = sum(one != two for one, two in itertools.pairwise(good))
    passing = bool(good) and good[-1]
    streak = next((n for n, one in enumerate(reversed(good)) if one != passing), len(good))
    return Stability(sum(good), len(good) - sum(good), flips, streak, crashes, passing)
