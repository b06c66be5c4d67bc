# SPDX-License-Identifier: MIT
"""The report on a terminal: a short table, the failures, and where the HTML page is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.report.html import SYMBOLS, headline, seconds
from harness.verdict.result import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.model import Figure, Report

_STYLES = {
    Status.PASS: "green",
    Status.SKIP: "dim",
    Status.ERROR: "yellow",
    Status.UNTESTED: "yellow",
    Status.FAIL: "red",
    Status.SPLAT: "magenta",
    Status.LOST: "bold red",
}
_FAILURES_SHOWN = 10
_TESTS_SHOWN = 5  # of a hole
_WIDTH = 100


def render(report: Report, page: Path, *, width: int = _WIDTH, color: bool = False) -> str:
    """Return the table of areas by kernel, the worst failures, the verdict and the page's path.

    ``width`` in columns; ``color`` for a terminal that shows it.
    """
    console = _console(width, color=color)
    with console.capture() as capture:
        _print(report, page, console)
    return capture.get().rstrip("\n")


def figures(rows: tuple[Figure, ...], page: Path, *, color: bool = False) -> str:
    """Return what reuse of tag storage gives and costs, a line each, and the page's path.

    They are counted when the verdict is already there (:func:`render`).
    """
    console = _console(_WIDTH, color=color)
    table = Table(box=None, pad_edge=False)
    table.add_column("in guest instructions")
    for heading in ("stock", "tag-storage", "ratio", "aim"):
        table.add_column(heading, justify="right")
    for row in rows:
        cells = (row.what, row.stock, row.reuse, row.result, row.reach)
        table.add_row(*map(escape, cells))
    with console.capture() as capture:
        console.print(table, highlight=False)
        console.print(f"report: {escape(str(page))}", highlight=False, soft_wrap=True)
    return capture.get().rstrip("\n")


def _console(width: int, *, color: bool) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=color, no_color=not color)


def _print(report: Report, page: Path, console: Console) -> None:
    columns = list(dict.fromkeys(test.column for test in report.tests))
    table = Table(box=None, pad_edge=False)
    for heading in ("", *columns):
        table.add_column(escape(heading))
    for area in dict.fromkeys(test.area for test in report.tests):
        table.add_row(escape(area), *(_counts(report, area, column) for column in columns))
    if report.tests:
        console.print(table)
    _print_holes(report, console)
    for test in report.failures[:_FAILURES_SHOWN]:
        status = test.status
        mark = f"[{_STYLES[status]}]{SYMBOLS[status]} {escape(test.name)}[/]"
        console.print(f"\n{mark} on {escape(test.column)}")
        for reason in test.result.reasons[:3]:
            console.print(f"  {escape(reason.text)}", highlight=False)
            # The first line of a splat is its title, which the reason already has.
            for detail in reason.details[: reason.status is not Status.SPLAT]:
                console.print(f"    {escape(detail)}", highlight=False)
        if test.repeat:
            console.print(f"  again: {escape(test.repeat)}", highlight=False, soft_wrap=True)
    if len(report.failures) > _FAILURES_SHOWN:
        console.print(f"\nand {len(report.failures) - _FAILURES_SHOWN} more")
    for test in report.tests:
        for case, tries in test.result.again.items():
            text = f"{test.name}::{case} on {test.column} was tried in {tries} guests"
            console.print(escape(text), highlight=False)
    if noted := sum(bool(test.result.note) for test in report.tests):
        text = f"{noted} verdicts are of programs on a board, which was not reset in between"
        console.print(text, highlight=False)
    mark = "[green]✓" if report.good else "[red]✗"
    verdict = f"\n{mark} {escape(headline(report))}[/] in {seconds(report.seconds)}"
    console.print(verdict, highlight=False, soft_wrap=True)
    console.print(f"report: {escape(str(page))}", highlight=False, soft_wrap=True)


def _print_holes(report: Report, console: Console) -> None:
    for hole in report.holes:
        console.print(f"\n[yellow]! hole:[/] {escape(hole.text)}", highlight=False, soft_wrap=True)
        for test_id in hole.tests[:_TESTS_SHOWN]:
            console.print(f"    {escape(test_id)}", highlight=False, soft_wrap=True)
        if len(hole.tests) > _TESTS_SHOWN:
            console.print(f"    and {len(hole.tests) - _TESTS_SHOWN} more")


def _counts(report: Report, area: str, column: str) -> str:
    """Return one cell, such as ``✓ 12  ✗ 1``."""
    statuses = [i.status for i in report.tests if (i.area, i.column) == (area, column)]
    return "  ".join(
        f"[{_STYLES[status]}]{SYMBOLS[status]} {statuses.count(status)}[/]"
        for status in reversed(Status)
        if status in statuses
    )
