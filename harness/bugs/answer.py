# SPDX-License-Identifier: MIT
"""What a search found, as text that a report can be answered with."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from harness.bugs.tally import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.bugs.journal import Journal
    from harness.bugs.points import History
    from harness.bugs.search import Result
    from harness.bugs.tally import Tally

WIDTH = 78


def answer(
    history: History, journal: Journal, result: Result, *, came: bool, removed: Sequence[str],
    how: Sequence[str],
) -> str:  # fmt: skip
    """Return the text.

    ``removed`` are lines on the trial without the culprit, ``how`` those that say how to repeat it.
    """
    lines = [
        *history.answer(result.suspects, came=came),
        "",
        *_confidence(result),
        *removed,
        "",
        f"It shows as: {journal.sign}" + _line_of(journal),
        "",
        *_table(history, journal),
        *_others(journal),
        "",
        *how,
    ]
    return "\n".join(_wrapped(line) for line in lines).rstrip() + "\n"


def _confidence(result: Result) -> list[str]:
    if result.unconfirmed:
        return [f"Not confirmed: {'; '.join(result.unconfirmed)}"]
    rate = f"at a rate of {result.rate}" if result.rate.given else f"in {result.rate} runs"
    text = (
        f"Confidence {_percent(result.confidence)}: the bug shows {rate} where it is, "
        f"and in none of {result.runs} more where it is not, right beside the change."
    )
    return [text]


def _percent(confidence: float) -> str:
    """Return a confidence that is never rounded up: no number of runs gives 100 %."""
    return f"{math.floor(confidence * 10_000) / 100:.2f}%"


def _line_of(journal: Journal) -> str:
    found = (tally.signs.get(journal.sign, "") for tally in journal.tallies.values())
    line = next(filter(None, found), "")
    return f": {line}" if line else ""


def _table(history: History, journal: Journal) -> list[str]:
    """Return a line for each point that was tried."""
    lines = ["Tried:"]
    for point, finding in journal.findings.items():
        tally = journal.tallies[point]
        words = {Finding.SHOWS: "bad", Finding.ABSENT: "good"}
        again = journal.fresh.get(point)
        more = f"; again: {again}" if again and again.runs else ""
        lines.append(
            f"  {words.get(finding, str(finding)):5} {history.title(point)}: {tally}{more}"
        )
    return lines


def _others(journal: Journal) -> list[str]:
    """Return lines on failures of another kind, which did not count."""
    others: dict[str, int] = {}
    for tally in [*journal.tallies.values(), *journal.fresh.values()]:
        for sign, count in tally.others.items():
            others[sign] = others.get(sign, 0) + count
    return [f"Other failures, which did not count: {_counts(others)}"] if others else []


def _counts(others: dict[str, int]) -> str:
    return ", ".join(f"{count} x {sign}" for sign, count in others.items())


def _wrapped(line: str) -> str:
    """Return prose in lines of a mail; lines of a list stay as they are."""
    if line.startswith(" ") or not line or ": " in line[:12]:
        return line
    return textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)


def removed_lines(tally: Tally, needed: int, *, came: bool) -> list[str]:
    """Return what the trial of the last kernel without the culprit says.

    Without a commit that brought a bug, it must be gone; without its fix, it must be back.
    """
    finding = tally.finding(needed)
    if finding is (Finding.ABSENT if came else Finding.SHOWS):
        return [f"Taken out of the last kernel again: {tally}, as it must be."]
    if tally.skip:
        return [f"It cannot be taken out of the last kernel again: {tally.skip}"]
    if finding is Finding.WEAK:
        return [f"Taken out of the last kernel again: {tally}, which tells nothing."]
    return [f"Taken out of the last kernel again: {tally}, which speaks against it."]
