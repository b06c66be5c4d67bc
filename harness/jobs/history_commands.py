# SPDX-License-Identifier: MIT
"""``mte-harness history`` and ``compare``: what nights found, on the terminal."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from harness.core import errors
from harness.core.errors import UsageError
from harness.core.printable import printable
from harness.history.changes import Kind, Seen, classify
from harness.history.database import STATES, opened
from harness.history.long_past import KEPT, spans
from harness.history.mail import trail
from harness.history.night import State
from harness.history.past import all_nights, load_past
from harness.history.stability import stability
from harness.jobs.nightly import results_option

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


QUIET = {Kind.SAME, Kind.KNOWN, Kind.HOLE}


@click.command("history")
@click.argument("test")
@results_option
def history_command(test: str, results: Path) -> int:
    """Show what TEST was on all nights; a part of its name will do."""
    with opened(_existing(results)) as database:
        past = load_past(database)
        rows = database.execute(
            "SELECT id, test, kernel, machine FROM subject WHERE name = '' AND instr(test, ?) "
            "ORDER BY test, kernel, machine",
            (test,),
        ).fetchall()
        if not rows:
            raise UsageError(f"no test of these nights has a name with {test!r}")
        exact = [row for row in rows if row[1] == test or row[1].partition("/")[2] == test]
        rows = exact or rows
        found = spans(database, [row[0] for row in rows])
    for number, name, kernel, machine in rows:
        states = tuple(result.state for result in past.results.get(number, ()))
        click.echo(printable(f"{name} on {kernel}{f'@{machine}' if machine else ''}"))
        click.echo(f"  {trail(states)}  {stability(states)}")
        for span in reversed(found.get(number, [])[-KEPT:]):
            click.echo(f"  {span}")
    return errors.OK


@click.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@results_option
def compare_command(first: str, second: str, results: Path) -> int:
    """Show what is not the same in B as in A, each a night or a kernel of the last night."""
    with opened(_existing(results)) as database:
        nights = all_nights(database)
        if not nights:
            raise UsageError("no night is recorded in these results")
        sides = [_side(database, nights, word) for word in (first, second)]
    both = [side.states for side in sides]
    changes: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    alarm = False
    for place in sorted(both[0].keys() | both[1].keys()):
        before, now = (one.get(place) for one in both)
        earlier = [] if before is None else [Seen(0, before)]
        test, case, where = place
        # What was not tried in B has not gone; and a test that has is told once.
        tried = bool(sides[0].held[place] & sides[1].whole)
        tried &= not case or (test, "", where) in both[1]
        change = classify(earlier, now, expected=tried)
        if change.kind not in QUIET and not change.old:
            alarm |= change.alarming
            was = f"{before or 'nothing'} → {now or 'nothing'}"
            changes[change.kind].append(f"  {' '.join(filter(None, place))}: {was}")
    for kind, lines in changes.items():
        if lines:
            click.echo(f"{kind.upper()} ({len(lines)})")
            click.echo(printable("\n".join(lines)))
    same = sum(both[0].get(place) == state for place, state in both[1].items())
    click.echo(f"{same} tests and cases are the same")
    return errors.PROGRAM_FAILED if alarm else errors.OK


@dataclass(frozen=True)
class Side:
    """A night or a kernel: its states by test, case and place.

    ``held`` maps them to what of which suite had them, ``whole`` is what ran to its end.
    """

    states: dict[tuple[str, ...], State]
    held: dict[tuple[str, ...], set[tuple[str, str]]]
    whole: set[tuple[str, str]]


def _side(database: sqlite3.Connection, nights: list[str], word: str) -> Side:
    """Return what there is of a night, or of a kernel on the last night."""
    if word in nights:
        place, part, chosen, night = "kernel || '@' || machine", "entry", "1 = 1", word
    else:
        place, part, chosen, night = "machine", "suite", "kernel = :kernel", nights[-1]
    found = Side({}, defaultdict(set), set())
    # Of a test that two runs had the worse result counts.
    for test, case, where, state, run, selection, whole in database.execute(
        f"SELECT test, name, {place}, state, {part}, selection, whole FROM result "
        "JOIN subject ON subject.id = result.subject JOIN run ON run.id = result.run "
        f"WHERE night = :night AND {chosen} ORDER BY state",
        {"night": night, "kernel": word},
    ):
        key = (test, case, where)
        if STATES[state].bad or not found.states.get(key, State.PASS).bad:
            found.states[key] = STATES[state]
        found.held[key].add((run, selection))
        if whole:
            found.whole.add((run, selection))
    if not found.states:
        raise UsageError(
            f"{word!r} is neither a night nor a kernel of the last night",
            f"the last nights: {', '.join(nights[-5:])}",
        )
    return found


def _existing(results: Path) -> Path:
    if not results.is_dir():
        raise UsageError(f"there are no results in {results}", "name them with --results")
    return results
