# SPDX-License-Identifier: MIT
"""The static site of a night: one page to read, and one a test, a kernel and a bug.

No page needs a script, the network or another file. What a guest or a kernel printed is text
everywhere: the templates escape all that they show, and names of files are made by slug().
"""

from __future__ import annotations

import functools
import shutil
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import jinja2

from harness.core.files import replace_file
from harness.core.printable import printable
from harness.history import long_past
from harness.history.bugs import bugs_of
from harness.history.changes import Kind
from harness.history.mail import MARKS
from harness.history.night import State
from harness.history.numbers import moved, series_of, shown
from harness.history.sketch import sketch
from harness.history.stability import stability
from harness.history.wording import headline, slug
from harness.report.html import seconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from harness.history.bugs import Bug
    from harness.history.numbers import Series
    from harness.history.past import Result, RunRow, Subject
    from harness.history.review import Review

SHOWN = 60  # rows of one table
SLOWEST = 15
_QUIET = frozenset({Kind.SAME, Kind.HOLE, Kind.KNOWN, Kind.APPEARED, Kind.NEW_PASS})
# Of each state and kind the colours that report.html has for a verdict.
CLASSES: dict[str, str] = {
    **{state: state for state in State},
    State.KNOWN: "skip",
    State.EXPIRED: "splat",
    Kind.REGRESSION: "fail",
    Kind.NEW_FAILURE: "fail",
    Kind.DISAPPEARED: "lost",
    Kind.COULD_NOT_RUN: "error",
    Kind.KNOWN_GONE: "splat",
    Kind.UNSTABLE: "error",
    Kind.STILL_FAILING: "fail",
    Kind.FIXED: "pass",
    Kind.NEW_PASS: "pass",
    Kind.APPEARED: "skip",
    Kind.KNOWN: "skip",
    Kind.HOLE: "untested",
    Kind.SAME: "pass",
}


class Site:
    """The pages of one review, with what all of them look up."""

    def __init__(self, review: Review, database: sqlite3.Connection) -> None:
        self._review = review
        self._past = review.past
        self._database = database
        self._series = [series for series in series_of(review.past) if series.values]
        self._bugs = bugs_of(review.past, database)
        self._environment = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [
                    jinja2.PackageLoader("harness", "history"),
                    jinja2.PackageLoader("harness", "report"),
                ]
            ),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["seconds"] = seconds
        self._environment.globals.update(
            Kind=Kind, State=State, classes=CLASSES, symbols=MARKS, slug=slug, sketch=sketch,
            past=self._past, harness=review.runs[-1].context["harness"], up="../", shown=SHOWN,
        )  # fmt: skip

    def front(self) -> str:
        """Return the page that a person reads at breakfast."""
        review = self._review
        tests = [one for one in self._series if one.unit == "s" and "/" in one.what]
        tests = [one for one in tests if one.nights[-1] == self._past.tonight]
        steps = moved(self._past, self._series)
        kinds = [kind for kind in review.rows if kind not in _QUIET]
        return self._page(
            "night.html.j2",
            review=review,
            headline=headline(review),
            quiet=_QUIET,
            taken=seconds(sum(run.seconds for run in review.runs)),
            sections=[
                *((str(kind), slug(kind)) for kind in kinds),
                *([("not tried", "holes")] if review.holes else []),
                ("runs", "runs"),
                *([("numbers that moved", "numbers")] if steps else []),
                *((name, name) for name in ("bugs", "slowest", "trends", "nights")),
            ],
            found=self._found,
            moved=steps,
            bugs=self._bugs,
            slowest=sorted(tests, key=lambda one: -one.values[-1])[:SLOWEST],
            totals=[
                one
                for one in self._series
                if one.what == "the whole run" and one.nights[-1] == self._past.tonight
            ],
            nights=[
                (
                    f"{night} (interrupted)" if night in self._past.untold else night,
                    len(runs),
                    _counted(state for run in runs for state in self._states(run)),
                )
                for night in reversed(self._past.nights)
                for runs in [self._past.runs_of(night)]
            ],
            up="",
        )

    def write(self, directory: Path) -> None:
        """Write all pages; the front page last, so that its links lead somewhere."""
        for kind, pages in (
            ("tests", self._tests()),
            ("kernels", self._kernels()),
            ("bugs", ((bug.name, self._bug(bug)) for bug in self._bugs)),
        ):
            made = directory / f"{kind}.new"
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            for name, text in pages:
                (made / f"{slug(name)}.html").write_bytes(_bytes(text))
            shutil.rmtree(directory / kind, ignore_errors=True)
            made.rename(directory / kind)
        replace_file(directory / "tests.html", _bytes(self._all_tests()))
        replace_file(directory / "index.html", _bytes(self.front()))

    def _page(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)

    def _states(self, run: RunRow) -> Iterable[State]:
        return (
            result.state
            for number, result in self._past.by_run.get(run.id, {}).items()
            if not self._past.subjects[number].case
        )

    def _found(self, run: RunRow) -> list[tuple[State, int]]:
        return _counted(self._states(run))

    @functools.cached_property
    def _by_test(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for number, subject in self._past.subjects.items():
            found[subject.test].append(number)
        return found

    def _tests(self) -> Iterable[tuple[str, str]]:
        """Yield the page of each test of the last nights."""
        past = self._past
        history = long_past.spans(self._database)
        plots = {(one.what, one.where): one for one in self._series}
        reasons = self._last_reasons()
        tonight = {run.id for run in self._review.runs}
        for name, numbers in sorted(self._by_test.items()):
            tests = [number for number in numbers if not past.subjects[number].case]
            tests.sort(key=lambda number: past.subjects[number])
            yield (
                name,
                self._page(
                    "night_test.html.j2",
                    name=name,
                    about=next(
                        (past.subjects[n].about for n in tests if past.subjects[n].about), ""
                    ),
                    tests=[(n, past.subjects[n], past.results[n]) for n in tests],
                    tonight=tonight,
                    states=_states_of,
                    numbers=lambda results: str(stability(_states_of(results))),
                    reasons=defaultdict(str, {n: reasons.get(n, "") for n in tests}),
                    plots={n: plots.get((name, _where(past.subjects[n]))) for n in tests},
                    history=history,
                    kept=long_past.KEPT,
                    cases={n: self._cases(past.subjects[n], numbers) for n in tests},
                    bad=lambda cases: any(states[-1].bad for _, states in cases),
                ),
            )

    def _cases(self, test: Subject, numbers: list[int]) -> list[tuple[str, tuple[State, ...]]]:
        """Return the cases of a test that were not always the same pass."""
        found = []
        for number in numbers:
            subject = self._past.subjects[number]
            if not subject.case or subject[:3] != test[:3]:
                continue
            states = _states_of(self._past.results[number])
            if any(state is not State.PASS for state in states):
                found.append((subject.case, states))
        return found

    def _last_reasons(self) -> dict[int, str]:
        details = dict(self._database.execute("SELECT id, reason FROM detail"))
        return {
            number: details[results[-1].detail]
            for number, results in self._past.results.items()
            if results[-1].detail
        }

    def _kernels(self) -> Iterable[tuple[str, str]]:
        """Yield the page of each kernel of the last nights."""
        past = self._past
        tests: dict[str, list[tuple[Subject, tuple[State, ...]]]] = defaultdict(list)
        for number, subject in past.subjects.items():
            if not subject.case:
                tests[subject.kernel].append((subject, _states_of(past.results[number])))
        own: dict[str, list[Series]] = defaultdict(list)
        for name, kernel, machine, unit in past.measures:
            where = f"{kernel}@{machine}" if machine else kernel
            own[kernel] += [
                one
                for one in self._series
                if (one.what, one.where, one.unit) == (name, where, unit)
            ]
        # A kernel without a test is named by a run, too.
        for kernel in sorted(tests.keys() | {k for run in past.runs.values() for k in run.names}):
            yield (
                kernel,
                self._page(
                    "night_kernel.html.j2",
                    name=kernel,
                    builds=self._builds(kernel),
                    plots=own[kernel],
                    value=lambda series: shown(series.values[-1], series.unit),
                    tests=sorted(tests[kernel], key=lambda row: (not row[1][-1].bad, row[0])),
                ),
            )

    def _builds(self, kernel: str) -> list[tuple[str, str, str, str]]:
        """Return the builds of a kernel as (first night, last night, machine, build)."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for run in self._past.runs.values():
            for (name, machine), build in run.kernels.items():
                if name == kernel:
                    found[machine, build].append(run.night)
        return [
            (nights[0], nights[-1], machine, build) for (machine, build), nights in found.items()
        ]

    def _bug(self, bug: Bug) -> str:
        return self._page("night_bug.html.j2", bug=bug)

    def _all_tests(self) -> str:
        past = self._past
        rank = list(State)
        tests = [
            (
                name,
                max(
                    (past.results[n][-1].state for n in numbers),
                    key=lambda state: (state.bad, rank.index(state)),
                ),
            )
            for name, numbers in sorted(self._by_test.items())
        ]
        kernels = sorted({subject.kernel for subject in past.subjects.values()})
        return self._page("night_tests.html.j2", tests=tests, kernels=kernels, up="")


def _states_of(results: list[Result]) -> tuple[State, ...]:
    return tuple(result.state for result in results)


def _where(subject: Subject) -> str:
    return f"{subject.kernel}@{subject.machine}" if subject.machine else subject.kernel


def _counted(states: Iterable[State]) -> list[tuple[State, int]]:
    counts = Counter(states)
    return [(state, counts[state]) for state in State if counts[state]]


def _bytes(text: str) -> bytes:
    return printable(text).encode(errors="backslashreplace")
