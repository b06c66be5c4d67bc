# SPDX-License-Identifier: MIT
"""The words that the mail, the pages and the terminal share."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from harness.history.changes import Kind

if TYPE_CHECKING:
    from harness.history.review import Review, Row


def headline(review: Review) -> str:
    """Return the verdict on a night in one sentence."""
    found = [
        f"{count} {_plural(kind, count)}"
        for kind, rows in review.rows.items()
        if (count := sum(row.change.alarming for row in rows))
    ]
    still = len(review.rows.get(Kind.STILL_FAILING, ()))
    parts = [", ".join(found) if found else "nothing new is wrong"]
    if still:
        parts.append(f"{still} still failing")
    if review.troubles:
        count = len(review.troubles)
        parts.append(f"{count} run{'s' if count > 1 else ''} cut short")
    return "; ".join(parts)


def _plural(kind: Kind, count: int) -> str:
    if count == 1 or kind not in {Kind.REGRESSION, Kind.NEW_FAILURE}:
        return str(kind)
    return f"{kind}s"


def place(row: Row) -> str:
    """Return a test, and the kernel and machine of its result."""
    subject = row.subject
    where = f"{subject.kernel}@{subject.machine}" if subject.machine else subject.kernel
    return f"{subject.test} on {where}"


def slug(name: str) -> str:
    """Return a file name for a test, kernel or bug: two names never have the same."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
    return f"{words}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
