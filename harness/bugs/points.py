# SPDX-License-Identifier: MIT
"""A history: points in an order, of which the earlier end and the later one differ in a bug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class History(Protocol):
    """Points, named by words that do not change (a commit, a version, a patch's number)."""

    first: str
    last: str

    def suspects(self, last: str, before: Iterable[str]) -> list[str]:
        """Return the points that are in ``last`` and in none of ``before``.

        The one whose trial tells most comes first; ``last`` is among them.
        """

    def parents(self, point: str) -> tuple[str, ...]:
        """Return the points right before ``point``."""

    def title(self, point: str) -> str:
        """Return a line that a person knows the point by."""

    def answer(self, suspects: Sequence[str], *, came: bool) -> list[str]:
        """Return lines that say what changed with ``suspects``.

        They are one point, or several where some cannot be tried. ``came``: the bug came.
        """


class ListHistory:
    """Points in a line."""

    def __init__(self, points: Sequence[str]) -> None:
        self.points = list(points)
        self.first, self.last = self.points[0], self.points[-1]
        self._place = {point: place for place, point in enumerate(self.points)}

    def suspects(self, last: str, before: Iterable[str]) -> list[str]:
        """Return the points after all of ``before``, up to ``last``; the middle one first."""
        end = self._place[last]
        start = max((self._place[p] for p in before if self._place[p] < end), default=-1)
        middle = (start + end) / 2
        return sorted(self.points[start + 1 : end + 1], key=lambda p: abs(self._place[p] - middle))

    def parents(self, point: str) -> tuple[str, ...]:
        """Return the point before."""
        place = self._place[point]
        return (self.points[place - 1],) if place else ()
