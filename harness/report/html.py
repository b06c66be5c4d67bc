# SPDX-License-Identifier: MIT
"""The report as one HTML page that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2

from harness.report.plot import growth, lines
from harness.verdict import patterns
from harness.verdict.judge import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.model import Item, Run, SplatRecord

# A shape of its own for each status, so that colour is never all there is.
SYMBOLS = {
    Status.PASS: "✓",
    Status.SKIP: "○",
    Status.ERROR: "!",
    Status.FAIL: "✗",
    Status.SPLAT: "⚡",
    Status.LOST: "☠",
}
WORDS = {
    Status.PASS: "passed",
    Status.SKIP: "skipped: the kernel is built without what it needs",
    Status.ERROR: "could not run",
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
_GOOD_CASES = frozenset({"pass", "xfail", "skip"})


@dataclass(frozen=True)
class Cell:
    """One probe on one kernel: the worst of its items, and their cases counted."""

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
    """One bar: its item, and the phases as (name, seconds, percent of the longest item)."""

    item: Item
    phases: tuple[tuple[str, float, float], ...]


def render(run: Run) -> str:
    """The page's text."""
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
    anchors = {id(item): f"item-{number}" for number, item in enumerate(run.items, 1)}
    return environment.get_template("report.html.j2").render(
        run=run,
        headline=headline(run),
        Status=Status,
        symbols=SYMBOLS,
        words=WORDS,
        tally=[(s, count) for s in Status if (count := run.count(s))],
        anchor=lambda item: anchors[id(item)],
        areas=matrix(run, anchors),
        durations=durations(run),
        phase_names=list(dict.fromkeys(p for item in run.items for p in item.phases)),
        growth=growth(run.items),
        series=lines,
        good_cases=_GOOD_CASES,
        median=median,
    )


def write(run: Run, path: Path) -> None:
    """Writes the page; a reader sees the old one or the new one, never half of one."""
    half = path.with_name(path.name + ".new")
    half.write_text(render(run), "utf-8")
    half.replace(path)


def headline(run: Run) -> str:
    """The verdict in one sentence."""
    if run.errors:
        return f"No verdict: {run.errors[0]}"
    if not run.items:
        return "No verdict: no test ran"
    kernels = dict.fromkeys(item.kernel for item in run.items)
    return "; ".join(_verdict_on(kernel, run) for kernel in kernels)


def _verdict_on(kernel: str, run: Run) -> str:
    statuses = [Status(item.status) for item in run.items if item.kernel == kernel]
    if bad := sum(not status.good for status in statuses):
        return f"{kernel}: {bad} of {len(statuses)} tests failed"
    skipped = statuses.count(Status.SKIP)
    passed = f"{kernel}: {len(statuses) - skipped} passed"
    return f"{passed}, {skipped} skipped" if skipped else passed


def matrix(run: Run, anchors: dict[int, str]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Areas, each with its probes as rows, in the order of the run."""
    columns = list(dict.fromkeys(item.kernel for item in run.items))
    areas: dict[str, dict[str, list[Item]]] = {}
    for item in run.items:
        areas.setdefault(item.area, {}).setdefault(item.name, []).append(item)
    return tuple(
        (
            area,
            tuple(
                Row(
                    name,
                    items[0].about,
                    tuple(
                        _cell([item for item in items if item.kernel == column], anchors)
                        for column in columns
                    ),
                )
                for name, items in rows.items()
            ),
        )
        for area, rows in areas.items()
    )


def _cell(items: list[Item], anchors: dict[int, str]) -> Cell | None:
    if not items:
        return None
    order = list(Status)
    worst = min(items, key=lambda item: order.index(Status(item.status)))
    outcomes = Counter(case.outcome for item in items for case in item.cases)
    return Cell(
        status=Status(worst.status),
        passed=outcomes["pass"],
        cases=outcomes.total(),
        seconds=sum(item.seconds for item in items),
        anchor=anchors[id(worst)],
    )


def durations(run: Run) -> tuple[Duration, ...]:
    """The slowest items. What no phase accounts for is the harness's own time."""
    slowest = sorted(run.items, key=lambda item: item.seconds, reverse=True)[:_SLOWEST]
    longest = max((item.seconds for item in slowest), default=0) or 1
    return tuple(
        Duration(
            item,
            tuple((name, spent, 100 * spent / longest) for name, spent in _phases(item).items()),
        )
        for item in slowest
    )


def _phases(item: Item) -> dict[str, float]:
    rest = item.seconds - sum(item.phases.values())
    return {**item.phases, "harness": rest} if rest > 0 else dict(item.phases)


def seconds(value: float | None) -> str:
    """``0.15 s``, ``12 s``, ``3 min 20 s``; a dash for what is not known."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.2f} s"
    if value < 90:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def sentence(text: str) -> str:
    """The first sentence of a probe's prose."""
    one_line = " ".join(text.split())
    return re.split(r"(?<=\.) ", one_line, maxsplit=1)[0]


def brief(splat: SplatRecord) -> str:
    """A splat's lines without registers, dumps, and the frames of the printing itself."""
    return "\n".join(line for line in splat.lines if line.strip() and not _is_detail(line))


def _is_detail(line: str) -> bool:
    frame = _FRAME.match(line)
    return bool(_DETAIL.match(line) or (frame and patterns.GENERIC.fullmatch(frame["symbol"])))


def median(values: tuple[float, ...]) -> float | None:
    """The middle value, None of nothing."""
    return sorted(values)[len(values) // 2] if values else None
