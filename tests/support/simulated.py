# SPDX-License-Identifier: MIT
"""Trials of points without a guest: a bug that shows with a rate, from a point on or up to one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.bugs.search import CannotTryError

if TYPE_CHECKING:
    from collections.abc import Container

    from harness.bugs.tally import Tally

SIGN = "case simulated"


@dataclass
class SimulatedTrials:
    """``has`` are the points that have the bug, which shows there with ``rate``.

    ``broken`` points cannot be tried. ``noise`` is the rate of another failure, everywhere.
    ``images`` maps points to the content of their kernel. ``ran`` are the points of all runs.
    """

    has: Container[str]
    rate: float = 1.0
    seed: int = 0
    broken: Container[str] = ()
    noise: float = 0.0
    images: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def prepare(self, point: str, tally: Tally) -> None:
        if point in self.broken:
            raise CannotTryError("does not build: mm/x.c:1: error: x")
        tally.content = self.images.get(point, f"image of {point}")

    def run(self, point: str) -> dict[str, str]:
        self.ran.append(point)
        if self._random.random() < self.noise:
            return {"splat warning-0123": "WARNING: another"}
        if point in self.has and self._random.random() < self.rate:
            return {SIGN: "saw 1 of 16"}
        return {}
