# SPDX-License-Identifier: MIT
"""A night as a text: for the terminal, and with a head for sendmail(8)."""

from __future__ import annotations

import textwrap
from email.message import EmailMessage
from typing import TYPE_CHECKING

from harness.core.printable import printable
from harness.history.changes import Kind
from harness.history.night import State
from harness.history.numbers import moved, series_of
from harness.history.wording import headline, place

if TYPE_CHECKING:
    from harness.history.review import Review, Row

SHOWN = 20  # rows of one kind
_WIDTH = 76
_QUIET = {Kind.KNOWN, Kind.APPEARED, Kind.NEW_PASS, Kind.HOLE, Kind.SAME}
MARKS = {
    State.PASS: "✓", State.SKIP: "○", State.ERROR: "!", State.UNTESTED: "?", State.FAIL: "✗",
    State.SPLAT: "⚡", State.LOST: "☠", State.KNOWN: "k", State.EXPIRED: "✓",
}  # fmt: skip


def trail(states: tuple[State, ...]) -> str:
    """Return the last states as ``✓✓✗``, the oldest first."""
    return "".join(MARKS[state] for state in states)


def message(review: Review, site: str) -> bytes:
    """Return a message for ``sendmail ADDRESS``: subject, and the text. ``site``: where it is."""
    mail = EmailMessage()
    mail["Subject"] = f"mte-harness: {headline(review)}"
    mail.set_content(f"{text(review)}\n\n{printable(site)}\n", cte="8bit")
    return mail.as_bytes()


def text(review: Review) -> str:
    """Return what a person should know of the night, in lines of at most 76 columns."""
    past = review.past
    lines = [headline(review), f"night {past.tonight}, {len(review.runs)} runs", ""]
    for kind, rows in review.rows.items():
        if kind in _QUIET:
            continue
        lines.append(f"{kind.upper()} ({len(rows)})")
        for row in rows[:SHOWN]:
            lines += _row(row)
        if len(rows) > SHOWN:
            lines.append(f"  and {len(rows) - SHOWN} more")
        lines.append("")
    if review.holes:
        lines.append(f"NOT TRIED ({len(review.holes)})")
        for what, why in review.holes[:SHOWN]:
            lines += _wrapped(f"{what}: {why}", "  ", "    ")
        if len(review.holes) > SHOWN:
            lines.append(f"  and {len(review.holes) - SHOWN} more")
        lines.append("")
    steps = moved(past, series_of(past))
    if steps:
        lines.append(f"NUMBERS THAT MOVED ({len(steps)})")
        for series in steps[:SHOWN]:
            lines += _wrapped(series.sentence, "  ", "    ")
        if len(steps) > SHOWN:
            lines.append(f"  and {len(steps) - SHOWN} more")
        lines.append("")
    quiet = [
        f"{review.counts[kind]} {kind}"
        for kind in Kind
        if kind in _QUIET and kind is not Kind.HOLE and review.counts.get(kind)
    ]
    lines += _wrapped(f"Tests and cases otherwise: {', '.join(quiet) or 'none'}.", "", "")
    return printable("\n".join(lines))


def _row(row: Row) -> list[str]:
    lines = _wrapped(f"{trail(row.trail)} {place(row)}", "  ", "    ")
    for said in (row.change.why, row.reason, row.cause):
        if said:
            lines += _wrapped(said, "    ", "    ")
    if row.change.kind is Kind.UNSTABLE:
        lines += _wrapped(str(row.change.numbers), "    ", "    ")
    if row.cases:
        lines += _wrapped(f"cases: {', '.join(row.cases)}", "    ", "      ")
    return lines


def _wrapped(said: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        said, _WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False
    )
