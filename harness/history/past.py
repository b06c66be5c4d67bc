# SPDX-License-Identifier: MIT
"""What the database has of the last nights, in memory: runs, results, numbers."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import UsageError
from harness.history.database import STATES
from harness.history.stability import WINDOW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from harness.history.night import State


@dataclass(frozen=True)
class RunRow:
    """A run, as the database has it. ``kernels`` maps (name, machine) to release and key."""

    id: int
    night: str
    entry: str
    suite: str
    started: str
    seconds: float
    exit_status: int
    whole: bool
    selection: str
    context: dict[str, str]
    errors: tuple[str, ...]
    not_run: dict[str, str]
    gone: tuple[str, ...]
    report: str
    kernels: dict[tuple[str, str], str]

    def around(self, kernel: str, machine: str) -> dict[str, str]:
        """Return what a result depends on, beside the test; a test may use several kernels.

        "" for a kernel that did not come up: what it was made from is not known.
        """
        machines = set(machine.split(", "))
        builds = {
            f"kernel {name}": " and ".join(
                sorted(
                    {
                        build
                        for (known, where), build in self.kernels.items()
                        if known == name and (where in machines or not machine)
                    }
                )
            )
            for name in kernel.split(", ")
        }
        return {**builds, **self.context}

    @property
    def names(self) -> set[str]:
        """The names of the kernels that the run used."""
        return {name for name, _ in self.kernels}


class Subject(NamedTuple):
    """A test, or one of its cases (``case`` is "" for the test itself), on a kernel and machine."""

    kernel: str
    machine: str
    test: str
    case: str
    bug: str
    about: str


class Result(NamedTuple):
    """What a subject was in one run; ``detail`` is a row of the database, or None."""

    run: int
    state: State
    seconds: float | None
    detail: int | None


@dataclass(frozen=True)
class Past:
    """The last nights, tonight included, the oldest first.

    ``results`` maps a subject to its results, ``by_run`` a run to those of its subjects;
    ``measures`` maps (name, kernel, machine, unit) to pairs of run and value. ``untold``: nights
    that were interrupted and not gone on with, so that nobody was told what they found.
    """

    nights: tuple[str, ...]
    runs: dict[int, RunRow]
    subjects: dict[int, Subject]
    results: dict[int, list[Result]]
    by_run: dict[int, dict[int, Result]]
    measures: dict[tuple[str, str, str, str], list[tuple[int, float]]]
    untold: frozenset[str] = frozenset()

    @property
    def tonight(self) -> str:
        """The name of the last night."""
        return self.nights[-1]

    def was_told(self, run: int) -> bool:
        """Return whether the night of a run came to its end, or is tonight."""
        return self.runs[run].night not in self.untold

    def runs_of(self, night: str) -> list[RunRow]:
        """Return the runs of a night, in order."""
        return [run for run in self.runs.values() if run.night == night]


def all_nights(database: sqlite3.Connection) -> list[str]:
    """Return the names of all nights of which a run is recorded, the oldest first."""
    rows = database.execute("SELECT DISTINCT night FROM run ORDER BY night")
    return [night for (night,) in rows]


def load_past(database: sqlite3.Connection, night: str = "", untold: Iterable[str] = ()) -> Past:
    """Return the WINDOW nights up to ``night`` ("": the last). Raise UsageError for none."""
    known = all_nights(database)
    if not known:
        raise UsageError("no night is recorded in these results", "mte-harness nightly makes one")
    if night and night not in known:
        raise UsageError(f"there is no night {night!r}", f"the last ones: {', '.join(known[-5:])}")
    last = known.index(night) + 1 if night else len(known)
    nights = known[max(0, last - WINDOW) : last]
    runs = _runs(database, nights[0], nights[-1])
    bounds = (min(runs), max(runs))
    results: dict[int, list[Result]] = defaultdict(list)
    by_run: dict[int, dict[int, Result]] = defaultdict(dict)
    for run, subject, state, seconds, detail in database.execute(
        "SELECT run, subject, state, seconds, detail FROM result WHERE run BETWEEN ? AND ?", bounds
    ):
        result = Result(run, STATES[state], seconds, detail)
        results[subject].append(result)
        by_run[run][subject] = result
    measures: dict[tuple[str, str, str, str], list[tuple[int, float]]] = defaultdict(list)
    for run, kernel, machine, name, unit, value in database.execute(
        "SELECT * FROM measure WHERE run BETWEEN ? AND ? ORDER BY run", bounds
    ):
        measures[name, kernel, machine, unit].append((run, value))
    subjects = {
        number: Subject(*words)
        for number, *words in database.execute(
            "SELECT id, kernel, machine, test, name, bug, about FROM subject"
        )
        if number in results
    }
    return Past(
        nights=tuple(nights),
        runs=runs,
        subjects=subjects,
        results=dict(results),
        by_run=dict(by_run),
        measures=dict(measures),
        untold=frozenset(untold),
    )


def _runs(database: sqlite3.Connection, first: str, last: str) -> dict[int, RunRow]:
    kernels: dict[int, dict[tuple[str, str], str]] = defaultdict(dict)
    for run, name, machine, key, release in database.execute(
        "SELECT run, name, machine, key, release FROM kernel WHERE run IN "
        "(SELECT id FROM run WHERE night BETWEEN ? AND ?)",
        (first, last),
    ):
        kernels[run][name, machine] = f"{release} ({key[:8]})"
    found = {}
    for row in database.execute(
        "SELECT id, night, entry, suite, started, seconds, exit_status, whole, selection, harness, "
        "qemu, compiler, host, errors, not_run, gone, report FROM run WHERE night BETWEEN ? AND ? "
        "ORDER BY id",
        (first, last),
    ):
        (
            number, night, entry, suite, started, seconds, status, whole, selection, harness,
            qemu, compiler, host, errors, not_run, gone, report,
        ) = row  # fmt: skip
        found[number] = RunRow(
            id=number,
            night=night,
            entry=entry,
            suite=suite,
            started=started,
            seconds=seconds,
            exit_status=status,
            whole=bool(whole),
            selection=selection,
            context={"harness": harness, "QEMU": qemu, "compiler": compiler, "host": host},
            errors=tuple(json.loads(errors)),
            not_run=json.loads(not_run),
            gone=tuple(json.loads(gone)),
            report=report,
            kernels=kernels[number],
        )
    return found
