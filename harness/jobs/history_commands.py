# SPDX-License-Identifier: MIT
"""``mte-harness history`` and ``compare``: what nights found, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.core import errors
from harness.core.errors import UsageError
from harness.core.printable import printable
from harness.history.changes import Kind, Seen, classify
from harness.history.database import STATES, opened
from harness.history.long_past import KEPT, spans
from harness.history.mail import trail
from harness.history.past import all_nights, load_past
from harness.history.stability import stability
from harness.jobs.nightly import results_option

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from harness.history.night import State

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
        both = [_states(database, nights, word) for word in (first, second)]
    changes: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    for place in sorted(both[0].keys() | both[1].keys()):
        before, now = (one.get(place) for one in both)
        earlier = [] if before is None else [Seen(0, before)]
        test, case, where = place
        tried = not case or (test, "", where) in both[1]  # a test that is gone is told once
        kind = classify(earlier, now, expected=tried, why="").kind
        if kind not in QUIET:
            was = f"{before or 'nothing'} → {now or 'nothing'}"
            changes[kind].append(f"  {' '.join(filter(None, place))}: {was}")
    for kind, lines in changes.items():
        if lines:
            click.echo(f"{kind.upper()} ({len(lines)})")
            click.echo(printable("\n".join(lines)))
    same = sum(both[0].get(place) == state for place, state in both[1].items())
    click.echo(f"{same} tests and cases are the same")
    return errors.PROGRAM_FAILED if any(changes[k] for k in Kind if k.alarming) else errors.OK


def _states(
    database: sqlite3.Connection, nights: list[str], word: str
) -> dict[tuple[str, ...], State]:
    """Return the states of a night, or of a kernel on the last night, by test, case and place."""
    if word in nights:
        column, chosen, night = "kernel || '@' || machine", "1 = 1", word
    else:
        column, chosen, night = "machine", "kernel = :kernel", nights[-1]
    found: dict[tuple[str, ...], State] = {
        (test, case, where): STATES[state]
        for test, case, where, state in database.execute(
            f"SELECT test, name, {column}, state FROM result "
            "JOIN subject ON subject.id = result.subject JOIN run ON run.id = result.run "
            f"WHERE night = :night AND {chosen}",
            {"night": night, "kernel": word},
        )
    }
    if not found:
        raise UsageError(
            f"{word!r} is neither a night nor a kernel of the last night",
            f"the last nights: {', '.join(nights[-5:])}",
        )
    return found


def _existing(results: Path) -> Path:
    if not results.is_dir():
        raise UsageError(f"there are no results in {results}", "name them with --results")
    return results
