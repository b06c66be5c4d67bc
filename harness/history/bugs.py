# SPDX-License-Identifier: MIT
"""The bugs that the last nights have seen: known ones, and splats by their fingerprint."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.changes import CLOSE_AFTER
from harness.history.night import State

if TYPE_CHECKING:
    import sqlite3

    from harness.history.past import Past, Result, Subject


@dataclass(frozen=True)
class Sighting:
    """A test that is about a bug, on one kernel; ``trail`` has its last states.

    ``clean``: on how many of the last nights with a verdict the bug did not show.
    """

    subject: Subject
    trail: tuple[State, ...]
    clean: int
    last_seen: str


@dataclass(frozen=True)
class Bug:
    """A known bug, called after its page, or a splat, called after its fingerprint."""

    name: str
    known: bool
    said: str
    sightings: tuple[Sighting, ...]

    @property
    def where(self) -> tuple[str, ...]:
        """The kernels on which it shows."""
        return tuple(
            dict.fromkeys(s.subject.kernel for s in self.sightings if s.last_seen and not s.clean)
        )

    @property
    def may_be_closed(self) -> tuple[str, ...]:
        """The kernels on which it showed, and has not for long."""
        return tuple(
            dict.fromkeys(
                s.subject.kernel
                for s in self.sightings
                if self.known and s.last_seen and s.clean >= CLOSE_AFTER
            )
        )


def bugs_of(past: Past, database: sqlite3.Connection) -> tuple[Bug, ...]:
    """Return all bugs that tests of the last nights are about, or that crashed one of them."""
    details = {
        number: (fingerprint, reason)
        for number, fingerprint, reason in database.execute(
            "SELECT id, fingerprint, reason FROM detail"
        )
    }
    known: dict[str, list[Sighting]] = defaultdict(list)
    splats: dict[str, list[Sighting]] = defaultdict(list)
    said: dict[str, str] = {}
    for number, results in past.results.items():
        subject = past.subjects[number]
        if subject.case:
            continue
        if subject.bug:
            shows = [result.state is State.KNOWN for result in results]
            known[subject.bug].append(_sighting(past, subject, results, shows))
            said.setdefault(subject.bug, subject.about)
        # The splat of a test that fails otherwise than its known bug does is one of its own.
        others = [result for result in results if result.state is not State.KNOWN]
        prints = [details[r.detail] if r.detail else ("", "") for r in others]
        for name in dict.fromkeys(text for text, _ in prints if text):
            shows = [text == name for text, _ in prints]
            splats[name].append(_sighting(past, subject, others, shows))
            said.setdefault(name, next(reason for text, reason in prints if text == name))
    return (
        *(Bug(name, True, said[name], tuple(found)) for name, found in sorted(known.items())),
        *(Bug(name, False, said[name], tuple(found)) for name, found in sorted(splats.items())),
    )


def _sighting(past: Past, subject: Subject, results: list[Result], shows: list[bool]) -> Sighting:
    clean = 0
    for result, seen in zip(reversed(results), reversed(shows), strict=True):
        if seen:
            break
        clean += result.state.conclusive
    last = [past.runs[r.run].night for r, seen in zip(results, shows, strict=True) if seen]
    return Sighting(subject, tuple(r.state for r in results), clean, last[-1] if last else "")
