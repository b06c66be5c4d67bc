# SPDX-License-Identifier: MIT
"""A point in time that is passed down, so that nested waits share one limit."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """``seconds`` from its making; every wait below asks how much is left."""

    seconds: float
    end: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """A deadline ``seconds`` from now (monotonic clock)."""
        return cls(seconds, time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.end - time.monotonic())

    def passed(self) -> bool:
        """Whether no time is left."""
        return self.left() == 0.0
