# SPDX-License-Identifier: MIT
"""The whole history of tests, as spans of nights on which a test was the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.database import STATES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from harness.history.night import State

KEPT = 40  # spans of one test on one kernel that are told


@dataclass(frozen=True)
class Span:
    """``count`` runs in a row with the same state, from one night to another."""

    state: State
    first: str
    last: str
    count: int

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.state} on {self.first}"
        return f"{self.state} from {self.first} to {self.last}, {self.count} runs"


def spans(database: sqlite3.Connection, subjects: Iterable[int] = ()) -> dict[int, list[Span]]:
    """Return the spans of tests, the oldest first; of ``subjects``, or of all tests (no cases)."""
    nights = dict(database.execute("SELECT id, night FROM run"))
    chosen = list(subjects)
    where = f"subject IN ({', '.join('?' * len(chosen))})" if chosen else "seconds IS NOT NULL"
    found: dict[int, list[Span]] = defaultdict(list)
    open_spans: dict[int, tuple[int, int, int, int]] = {}
    for run, subject, state in database.execute(
        f"SELECT run, subject, state FROM result WHERE {where} ORDER BY run", chosen
    ):
        current = open_spans.get(subject)
        if current and current[0] == state:
            open_spans[subject] = (state, current[1], run, current[3] + 1)
            continue
        if current:
            found[subject].append(_span(current, nights))
        open_spans[subject] = (state, run, run, 1)
    for subject, current in open_spans.items():
        found[subject].append(_span(current, nights))
    return dict(found)


def _span(found: tuple[int, int, int, int], nights: dict[int, str]) -> Span:
    state, first, last, count = found
    return Span(STATES[state], nights[first], nights[last], count)
