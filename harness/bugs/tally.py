# SPDX-License-Identifier: MIT
"""What the runs on one kernel gave: counts, from which follows whether the bug is there."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

MORE = 5  # so many runs more than are needed may end in another failure


class Finding(enum.StrEnum):
    """What is known of a point of a history.

    WEAK: other failures came so often that the runs say nothing of this bug. SKIP: the kernel
    cannot be tried.
    """

    UNKNOWN = "unknown"
    SHOWS = "shows"
    ABSENT = "absent"
    WEAK = "weak"
    SKIP = "skip"


@dataclass
class Tally:
    """The runs on one kernel.

    ``hits`` showed the bug, ``clean`` showed nothing, ``others`` counts other signs; such a run
    says nothing of the bug. ``signs`` has a line for each sign that was seen. ``skip``: why the
    kernel cannot be tried. ``content``: of the kernel, the same for the same Image; ``release`` is
    what `uname -r` says.
    """

    hits: int = 0
    clean: int = 0
    others: dict[str, int] = field(default_factory=dict)
    signs: dict[str, str] = field(default_factory=dict)
    skip: str = ""
    content: str = ""
    release: str = ""

    @property
    def runs(self) -> int:
        """Return how many runs there were."""
        return self.hits + self.clean + self.spoilt

    @property
    def spoilt(self) -> int:
        """Return how many runs ended in another failure."""
        return sum(self.others.values())

    def finding(self, needed: int) -> Finding:
        """Return what the runs say, where ``needed`` clean ones are proof of absence."""
        if self.skip:
            return Finding.SKIP
        if self.hits:
            return Finding.SHOWS
        if self.clean >= needed:
            return Finding.ABSENT
        return Finding.WEAK if self.spoilt >= needed + MORE else Finding.UNKNOWN

    def add(self, signs: dict[str, str], *, shows: bool) -> None:
        """Count one run, which had these ``signs``."""
        self.signs |= {sign: line for sign, line in signs.items() if sign not in self.signs}
        if shows:
            self.hits += 1
        elif signs:
            name = next(iter(signs))
            self.others[name] = self.others.get(name, 0) + 1
        else:
            self.clean += 1

    def __str__(self) -> str:
        """Return it in words."""
        if self.skip:
            return f"cannot be tried: {self.skip}"
        text = f"{self.hits} of {self.runs}"
        others = ", ".join(f"{count} x {sign}" for sign, count in self.others.items())
        return f"{text}; other failures: {others}" if others else text
