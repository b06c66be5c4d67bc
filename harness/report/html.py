# SPDX-License-Identifier: MIT
"""The report as one HTML page that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2

from harness.core.files import replace_file
from harness.core.ktap import Outcome
from harness.report.model import tests_not_run
from harness.report.plot import growth
from harness.verdict import patterns
from harness.verdict.result import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.model import KernelRecord, Report, TestRecord
    from harness.verdict.splat import Splat

# A shape of its own for each status, so that colour is never all there is.
SYMBOLS = {
    Status.PASS: "✓",
    Status.SKIP: "○",
    Status.ERROR: "!",
    Status.UNTESTED: "?",
    Status.FAIL: "✗",
    Status.SPLAT: "⚡",
    Status.LOST: "☠",
}
WORDS = {
    Status.PASS: "passed",
    Status.SKIP: "skipped: the kernel is built without what it needs",
    Status.ERROR: "could not run",
    Status.UNTESTED: "not put to the test: what it needs did not come about in any guest",
    Status.FAIL: "failed",
    Status.SPLAT: "the kernel printed a splat or became tainted",
    Status.LOST: "the guest was lost",
}
_SLOWEST = 15
_DETAIL = re.compile(
    r"x\d+ ?: |sp : |pstate: |Mem abort info|Data abort info|  (?:ESR|EC|SET|EA|FSC|ISV|CM|GCS) |"
    r"\[[0-9a-f]{16}\] |(?:user|swapper) pgtable: |Hardware name: |Code: |Kernel Offset: |"
    r"CPU features: |Memory Limit: |SMP: stopping|-+\[ (?:cut here|end trace) |={20,}$"
)
_FRAME = re.compile(r" (?P<symbol>[\w.$]+)\+0x")
_GOOD_CASES = frozenset({Outcome.PASS, Outcome.XFAIL, Outcome.SKIP})


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix: the worst test of one probe on one kernel, and its cases counted."""

    status: Status
    passed: int
    cases: int
    seconds: float
    anchor: str


@dataclass(frozen=True)
class Row:
    """One probe in the matrix, with a cell (or None) for each of the run's kernels."""

    name: str
    about: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Duration:
    """One bar: its test, and the phases as (name, seconds, percent of the longest test)."""

    test: TestRecord
    phases: tuple[tuple[str, float, float], ...]


@functools.cache
def _page() -> jinja2.Template:
    """Return the page's template, whose compilation takes longer than most pages."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = seconds
    environment.filters["sentence"] = sentence
    environment.filters["brief"] = brief
    return environment.get_template("report.html.j2")


def render(report: Report) -> str:
    """Return the page's text."""
    anchors = {id(test): f"test-{number}" for number, test in enumerate(report.tests, 1)}
    return _page().render(
        report=report,
        headline=headline(report),
        Status=Status,
        symbols=SYMBOLS,
        words=WORDS,
        tally=[(s, count) for s in Status if (count := report.count(s))],
        anchor=lambda test: anchors[id(test)],
        areas=matrix(report, anchors),
        durations=durations(report),
        phase_names=list(dict.fromkeys(p for test in report.tests for p in test.result.phases)),
        growth=growth(report.tests),
        good_cases=_GOOD_CASES,
        clone_seconds=functools.partial(clone_seconds, report),
    )


def write(report: Report, path: Path) -> None:
    """Write the page; a reader sees the old one or the new one, never half of one."""
    # A path of the command line may hold bytes that are not UTF-8.
    replace_file(path, render(report).encode(errors="backslashreplace"))


def headline(report: Report) -> str:
    """Return the verdict in one sentence."""
    if report.errors:
        return f"No verdict: {report.errors[0]}"
    if not report.tests:
        reason = report.holes[0].text if report.holes else "no test ran"
        return f"No verdict: {reason}"
    columns = dict.fromkeys(test.column for test in report.tests)
    verdicts = [_verdict_on(column, report) for column in columns]
    if report.holes:
        count = len(report.holes)
        verdicts.insert(0, f"Incomplete, {count} hole{'s' if count > 1 else ''}")
    if report.left_out:
        verdicts.append(f"{report.left_out} tests left out")
    if missing := tests_not_run(report.tests):
        verdicts.append(missing)
    return "; ".join(verdicts)


def _verdict_on(column: str, report: Report) -> str:
    statuses = [test.status for test in report.tests if test.column == column]
    if bad := sum(not status.good for status in statuses):
        return f"{column}: {bad} of {len(statuses)} tests failed"
    skipped = statuses.count(Status.SKIP)
    passed = f"{column}: {len(statuses) - skipped} passed"
    return f"{passed}, {skipped} skipped" if skipped else passed


def matrix(report: Report, anchors: dict[int, str]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Return the areas, each with its probes as rows, in the order of the report."""
    columns = list(dict.fromkeys(test.column for test in report.tests))
    areas: dict[str, dict[str, list[TestRecord]]] = {}
    for test in report.tests:
        areas.setdefault(test.area, {}).setdefault(test.name, []).append(test)
    return tuple(
        (
            area,
            tuple(
                Row(
                    name,
                    tests[0].about,
                    tuple(
                        _cell([test for test in tests if test.column == column], anchors)
                        for column in columns
                    ),
                )
                for name, tests in rows.items()
            ),
        )
        for area, rows in areas.items()
    )


def _cell(tests: list[TestRecord], anchors: dict[int, str]) -> Cell | None:
    if not tests:
        return None
    worst = min(tests, key=lambda test: test.status.rank)
    outcomes = Counter(case.outcome for test in tests for case in test.result.cases)
    return Cell(
        status=worst.status,
        passed=outcomes[Outcome.PASS],
        cases=outcomes.total(),
        seconds=sum(test.seconds for test in tests),
        anchor=anchors[id(worst)],
    )


def durations(report: Report) -> tuple[Duration, ...]:
    """Return the slowest tests. Time outside all phases is shown as the phase "harness"."""
    slowest = sorted(report.tests, key=lambda test: test.seconds, reverse=True)[:_SLOWEST]
    longest = max((test.seconds for test in slowest), default=0) or 1
    return tuple(
        Duration(
            test,
            tuple((name, spent, 100 * spent / longest) for name, spent in _phases(test).items()),
        )
        for test in slowest
    )


def _phases(test: TestRecord) -> dict[str, float]:
    phases = test.result.phases
    rest = test.seconds - sum(phases.values())
    return {**phases, "harness": rest} if rest > 0 else dict(phases)


def seconds(value: float | None) -> str:
    """Return ``0.15 s``, ``12 s``, ``3 min 20 s``; a dash for None."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.2f} s"
    if value < 90:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def sentence(text: str) -> str:
    """Return the first sentence of a head comment."""
    one_line = " ".join(text.split())
    return re.split(r"(?<=\.) ", one_line, maxsplit=1)[0]


def brief(splat: Splat) -> str:
    """Return a splat's lines without registers, dumps, and the frames that printed it."""
    return "\n".join(line for line in splat.lines if line.strip() and not _is_detail(line))


def _is_detail(line: str) -> bool:
    frame = _FRAME.match(line)
    return bool(_DETAIL.match(line) or (frame and patterns.GENERIC.fullmatch(frame["symbol"])))


def clone_seconds(report: Report, kernel: KernelRecord) -> float | None:
    """Return the median of the clone times of one kernel on its machine, None without a clone."""
    values = sorted(
        test.result.phases["clone"]
        for test in report.tests
        if (test.kernel, test.machine) == (kernel.name, kernel.machine)
        and "clone" in test.result.phases
    )
    return values[len(values) // 2] if values else None
