# SPDX-License-Identifier: MIT
"""What a night will run, how long that is expected to take, and what is left out. Pure.

The time of an entry is the median of its last runs; without any it is the matrix's estimate.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.night import Planned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LAST = 5  # runs whose median is taken


@dataclass(frozen=True)
class Cell:
    """One run of the matrix; "" is the default of what is a name. ``estimate``: seconds."""

    suite: str
    kernel: str
    machine: str
    qemu: str
    select: str
    rotate: int
    value: int
    estimate: float

    @property
    def name(self) -> str:
        """The name of the run, the same each night."""
        where = self.kernel + (f"@{self.machine}" if self.machine else "")
        select = f"-k '{self.select}'" if self.select else ""
        return " ".join(filter(None, (self.suite, where, select, self.label)))

    @property
    def label(self) -> str:
        """What its QEMU is called in the names of machines; "" for the host's."""
        return f"QEMU {self.qemu}" if self.qemu else ""


@dataclass(frozen=True)
class Matrix:
    """A whole file. ``budget`` in seconds, ``keep`` in bytes, 0 for no limit."""

    path: Path
    budget: float
    workers: int
    keep: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Earlier:
    """What the records say of an entry: (seconds, tests) of its whole runs, the oldest first."""

    runs: tuple[tuple[float, int], ...] = ()

    def seconds(self, cell: Cell) -> float:
        """Return the expected seconds of a run, or of one test of a suite in rotation."""
        last = self.runs[-LAST:]
        if not last:
            return cell.estimate
        return statistics.median(s / max(n, 1) if cell.rotate else s for s, n in last)


@dataclass(frozen=True)
class Listed:
    """The tests of a suite, those that have waited longest first, and those that it lately had.

    ``trouble``: why they could not be listed, or ``""``.
    """

    names: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    trouble: str = ""


def plan(
    matrix: Matrix,
    budget: float,
    earlier: Mapping[str, Earlier],
    listed: Mapping[str, Listed],
) -> tuple[Planned, ...]:
    """Return the entries of a night in the order in which they run, those left out last.

    ``earlier`` is by the name of the entry, ``listed`` by the suite, for those in rotation. What
    matters most is taken first; an entry that does not fit is left out, and a smaller one after it
    may still fit.
    """
    left = budget
    chosen: list[Planned] = []
    refused: list[Planned] = []
    for cell in sorted(matrix.cells, key=lambda cell: -cell.value):
        known = earlier.get(cell.name, Earlier())
        each = known.seconds(cell)
        suite = listed.get(cell.suite, Listed()) if cell.rotate else Listed()
        names = suite.names
        count = min(cell.rotate, len(names), int(left // each) if each > 0 else cell.rotate)
        picked = names[: max(count, 1)]
        expected = each * len(picked) if cell.rotate else each
        fits = expected <= left
        entry = Planned(
            entry=cell.name,
            suite=cell.suite,
            kernel=cell.kernel,
            machine=cell.machine,
            qemu=cell.qemu,
            select=cell.select,
            value=cell.value,
            expected=round(expected, 1),
            runs=len(known.runs[-LAST:]),
            picked=picked,
            known=len(names),
            gone=suite.gone,
            trouble=suite.trouble,
            left_out="" if fits else f"no time: {clock(expected)} expected, {clock(left)} left",
        )
        (chosen if fits else refused).append(entry)
        left -= expected if fits else 0
    return (*chosen, *refused)


def waiting_longest(names: Sequence[str], last: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``names`` by the night on which each last ran, those that never ran first."""
    return tuple(sorted(names, key=lambda name: last.get(name, "")))


def clock(seconds: float) -> str:
    """Return ``45 s``, ``12 min``, ``1 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def forecast(entries: Sequence[Planned], budget: float) -> str:
    """Return what is expected, a line an entry, and the sum."""
    lines = []
    for entry in entries:
        if entry.left_out:
            lines.append(f"{'-':>12}  {entry.entry}  ({entry.left_out})")
            continue
        if entry.trouble:
            lines.append(f"{'-':>12}  {entry.entry}  (cannot run: {entry.trouble})")
            continue
        basis = f"from {entry.runs} run{'s' if entry.runs > 1 else ''}"
        if not entry.runs:
            basis = "an estimate"
        rotation = f", {len(entry.picked)} of {entry.known} tests" if entry.picked else ""
        lines.append(f"{clock(entry.expected):>12}  {entry.entry}  ({basis}{rotation})")
    taken = [entry for entry in entries if not entry.left_out and not entry.trouble]
    total = sum(entry.expected for entry in taken)
    guessed = sum(not entry.runs for entry in taken)
    mark = f"; {guessed} of {len(taken)} are estimates" if guessed else ""
    lines.append(f"{clock(total):>12}  in all, of {clock(budget)}{mark}")
    return "\n".join(lines)
