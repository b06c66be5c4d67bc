# SPDX-License-Identifier: MIT
"""How many runs without a bug say that a kernel does not have it.

A run that shows the bug proves that it is there. Runs that do not show it prove little if the bug
shows rarely: with a rate p, n of them are seen with the chance (1 - p)^n on a kernel that has it.
The rate is itself only measured. Bugs are as likely to show in one of 10 as in one of 100 runs, so
beforehand a rate p has the weight 1/p; the uniform weight would take a bug that showed once in 5
runs for a frequent one, and whoever sees a rare bug at all sees it too often. With h of n runs that
showed the bug it then has the distribution Beta(h, 1 + n - h), and the chance of k more runs that
all miss it is the product of (1 + misses + i) / (1 + n + i) for i from 0 to k - 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HITS = 3  # so many runs with the bug, at least, measure its rate
MOST_RUNS = 1000  # of one kernel; a rarer bug cannot be bisected by these means


@dataclass(frozen=True)
class Rate:
    """How often a bug shows where it is: ``hits`` and ``misses`` that were seen.

    ``given``: a rate from 0 to 1 that is known from elsewhere, and counts in their place.
    """

    hits: int = 0
    misses: int = 0
    given: float | None = None

    def __str__(self) -> str:
        """Return it in words."""
        if self.given is not None:
            return f"{self.given:g} (given)"
        return f"{self.hits} of {self.hits + self.misses}"

    def all_miss(self, runs: int) -> float:
        """Return the chance that ``runs`` runs in a row miss a bug that is there."""
        return math.prod(map(self._misses_after, range(runs)))

    def _misses_after(self, runs: int) -> float:
        """Return the chance that one more run misses the bug, after ``runs`` that all did."""
        if self.given is not None:
            return 1 - self.given
        return (1 + self.misses + runs) / (1 + self.hits + self.misses + runs)

    def runs_for(self, confidence: float) -> int:
        """Return how many runs without the bug are needed to say with ``confidence`` it is gone.

        With a given rate of 0.3, and 0.99, they are 13. At most MOST_RUNS.
        """
        chance, runs = 1.0, 0
        while chance > 1 - confidence + 1e-12 and runs < MOST_RUNS:
            chance *= self._misses_after(runs)
            runs += 1
        return runs
