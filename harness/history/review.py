# SPDX-License-Identifier: MIT
"""A night beside those before it: each result's kind, what else changed, what was not tried."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.changes import Change, Kind, Seen, attribution, classify, what_else_changed
from harness.history.night import State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from harness.history.night import Night
    from harness.history.past import Past, Result, RunRow, Subject

TRAIL = 10  # of the last results, those that are shown


@dataclass(frozen=True)
class Row:
    """A result of tonight that is worth a line. ``trail``: the last states, the oldest first.

    ``since`` is the night of the last verdict before tonight. ``cases``: those of the test that
    are of the same kind. ``cause`` says what else changed since then.
    """

    change: Change
    subject: Subject
    state: State | None
    trail: tuple[State, ...]
    since: str = ""
    cause: str = ""
    reason: str = ""
    fingerprint: str = ""
    repeat: str = ""
    report: str = ""
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """A night. ``holes``: what was not tried, as (what, why). ``counts`` count tests and cases."""

    past: Past
    night: Night | None
    runs: tuple[RunRow, ...]
    rows: dict[Kind, tuple[Row, ...]]
    counts: dict[Kind, int]
    states: dict[State, int]
    holes: tuple[tuple[str, str], ...]

    @property
    def alarming(self) -> bool:
        """Whether something new is wrong."""
        return any(row.change.alarming for rows in self.rows.values() for row in rows)

    @property
    def troubles(self) -> tuple[RunRow, ...]:
        """The runs that the host, or a kernel that did not come up, cut short."""
        return tuple(run for run in self.runs if not run.whole)

    @property
    def without_result(self) -> bool:
        """Whether a run was cut short before its first result: no row speaks of it."""
        return any(not self.past.by_run.get(run.id) for run in self.troubles)


def review(database: sqlite3.Connection, past: Past, night: Night | None) -> Review:
    """Return the review of the last night of ``past``; ``night`` is its plan, if there is one.

    Tonight is compared with nights that were told: what went wrong on others is new.
    """
    fingerprints = dict(
        database.execute("SELECT id, fingerprint FROM detail WHERE fingerprint != ''")
    )
    tonight = past.runs_of(past.tonight)
    rows: dict[Kind, list[Row]] = defaultdict(list)
    counts: Counter[Kind] = Counter()
    for run in tonight:
        for row in _rows_of(past, run, fingerprints):
            counts[row.change.kind] += 1
            if row.change.kind is not Kind.SAME:
                rows[row.change.kind].append(row)
    details = _details(database, past, [run.id for run in tonight])
    return Review(
        past=past,
        night=night,
        runs=tuple(tonight),
        rows={
            kind: tuple(_with_details(row, past, details) for row in _folded(rows[kind]))
            for kind in Kind
            if rows[kind]
        },
        counts=dict(counts),
        states=dict(_states(past, {run.id for run in tonight})),
        holes=tuple(_holes(past, tonight, night, rows[Kind.HOLE], details)),
    )


def _states(past: Past, runs: set[int]) -> Counter[State]:
    """Count the tests of tonight, without their cases, by state."""
    return Counter(
        result.state
        for run in runs
        for number, result in past.by_run.get(run, {}).items()
        if not past.subjects[number].case
    )


def _rows_of(past: Past, run: RunRow, fingerprints: dict[int, str]) -> Iterable[Row]:
    """Yield a row for each subject of a run, and for each that it should have had."""
    before = _run_before(past, run)
    own = past.by_run.get(run.id, {})
    wanted = {*past.by_run.get(before.id, {})} if before else set()
    # Of a suite in rotation no two runs have the same tests; those that it lost are told once.
    same = [one for one in past.runs.values() if one.id < run.id and one.entry == run.entry]
    lost = set(run.gone).difference(*(one.gone for one in same if past.was_told(one.id)))
    gone = {n for n, s in past.subjects.items() if s.test in lost and not s.case} if lost else set()
    cases = {(s.kernel, s.machine, s.test) for n in own if (s := past.subjects[n]).case}
    tests = {
        (s.kernel, s.machine, s.test): own[n].state for n in own if not (s := past.subjects[n]).case
    }
    for number in own.keys() | wanted | gone:
        subject = past.subjects[number]
        place = subject[:3]
        expected = run.whole and number in wanted and subject.test not in run.not_run
        expected |= number in gone
        if subject.case:
            # Cases that a failed test did not get to have not gone.
            state = tests.get(place)
            expected &= state is State.PASS or (
                state in {State.KNOWN, State.SKIP} and place in cases
            )
        found = own.get(number)
        told = [
            result
            for result in past.results[number]
            if result.run < run.id and past.was_told(result.run)
        ]
        earlier = [Seen(result.run, result.state) for result in told]
        state = found.state if found else None
        change = classify(earlier, state, expected=bool(expected))
        if found and change.kind is Kind.STILL_FAILING:
            change = _another_splat(change, found, told, fingerprints)
        yield Row(
            change,
            subject,
            state,
            tuple(seen.state for seen in earlier[1 - TRAIL :]) + ((state,) if state else ()),
            report=run.report,
        )


def _run_before(past: Past, run: RunRow) -> RunRow | None:
    """Return the last whole run of the same entry and selection before ``run``."""
    same = [
        other
        for other in past.runs.values()
        if other.id < run.id
        and (other.entry, other.selection) == (run.entry, run.selection)
        and other.whole
        and past.was_told(other.id)
    ]
    return same[-1] if same else None


def _another_splat(
    change: Change, found: Result, told: list[Result], fingerprints: dict[int, str]
) -> Change:
    """Return the change of a test that fails as before, unless by a splat that is new to it."""
    known = {fingerprints.get(result.detail or 0) for result in told}
    if fingerprints.get(found.detail or 0, "") in {"", *known}:
        return change
    return dataclasses.replace(
        change, kind=Kind.REGRESSION, why="it failed before, but not with this splat"
    )


def _folded(rows: Iterable[Row]) -> list[Row]:
    """Put the cases of a test below its own row of the same kind, or below the first of them.

    The first is one that alarms, if any does.
    """
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.subject[:3]].append(row)
    folded = []
    for group in groups.values():
        group.sort(key=lambda row: (not row.change.alarming, row.subject.case))
        cases = tuple(row.subject.case for row in group if row.subject.case)
        folded.append(dataclasses.replace(group[0], cases=cases))
    return sorted(folded, key=lambda row: row.subject)


def _details(
    database: sqlite3.Connection, past: Past, runs: list[int]
) -> dict[tuple[str, ...], tuple[int, tuple[str, str, str]]]:
    """Return for each test of tonight its run, and its fingerprint, reason and repeat command."""
    marks = ", ".join("?" * len(runs))
    return {
        past.subjects[subject][:3]: (run, (fingerprint or "", reason or "", repeat or ""))
        for run, subject, fingerprint, reason, repeat in database.execute(
            "SELECT run, subject, fingerprint, reason, repeat FROM result "
            f"LEFT JOIN detail ON detail.id = result.detail WHERE run IN ({marks}) "
            "AND seconds IS NOT NULL",
            runs,
        )
    }


def _with_details(
    row: Row, past: Past, details: dict[tuple[str, ...], tuple[int, tuple[str, str, str]]]
) -> Row:
    run, (fingerprint, reason, repeat) = details.get(row.subject[:3], (0, ("", "", "")))
    change = row.change
    since = cause = ""
    if change.before:
        then = past.runs[change.before.night]
        since = then.night
        now = past.runs.get(run) or _tonight_of(past, then)
        # Of what is the same as before, and of chance, there is no cause to tell.
        if now and (change.alarming or change.kind is Kind.FIXED):
            place = (row.subject.kernel, row.subject.machine)
            changed = what_else_changed(then.around(*place), now.around(*place))
            cause = attribution(changed)
    return dataclasses.replace(
        row, since=since, cause=cause, reason=reason, fingerprint=fingerprint, repeat=repeat
    )


def _tonight_of(past: Past, then: RunRow) -> RunRow | None:
    """Return tonight's run of the entry of an earlier run."""
    same = [run for run in past.runs_of(past.tonight) if run.entry == then.entry]
    return same[-1] if same else None


def _holes(
    past: Past,
    tonight: list[RunRow],
    night: Night | None,
    rows: list[Row],
    details: dict[tuple[str, ...], tuple[int, tuple[str, str, str]]],
) -> Iterable[tuple[str, str]]:
    """Yield what was not tried tonight, and why; ``rows`` are the tests without a verdict."""
    for row in rows:
        if row.state and not row.subject.case:
            where = "@".join(filter(None, row.subject[:2]))
            _, (_, reason, _) = details[row.subject[:3]]
            yield f"{row.subject.test} on {where}", reason or "untested"
    for run in tonight:
        for error in run.errors:
            yield run.entry, f"cut short: {error}"
        for test, why in run.not_run.items():
            yield f"{test} of {run.entry}", why
    run_tonight = {run.entry for run in tonight}
    planned = {entry.entry: entry.left_out for entry in night.entries} if night else {}
    for entry, why in planned.items():
        if entry not in run_tonight:
            yield entry, why or "the night ended before it"
    last: dict[str, str] = {run.entry: run.night for run in past.runs.values()}
    for entry, when in last.items():
        if entry not in run_tonight and entry not in planned:
            yield entry, f"no longer in the matrix; it last ran in the night {when}"
