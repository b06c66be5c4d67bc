# SPDX-License-Identifier: MIT
"""A point in time that is handed down, so that nested waits share one limit."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """The end of a wait: ``seconds`` is its length, ``end`` a time of the monotonic clock."""

    seconds: float
    end: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline ``seconds`` from now."""
        return cls(seconds, time.monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self.end - time.monotonic())

    def passed(self) -> bool:
        """Return whether no time is left."""
        return self.left() == 0.0
