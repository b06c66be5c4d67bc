# SPDX-License-Identifier: MIT
"""The numbers of the last nights as series with a band: what tests take, leave behind and cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.history.trends import Step, Trend, trend

if TYPE_CHECKING:
    from harness.history.past import Past

RECENT = 7  # nights within which a step is told


@dataclass(frozen=True)
class Series:
    """A number over the nights: ``values`` with the ``nights`` on which it was taken."""

    what: str
    where: str
    unit: str
    nights: tuple[str, ...]
    values: tuple[float, ...]
    trend: Trend

    @property
    def step(self) -> Step | None:
        """The last step, if there is one."""
        return self.trend.steps[-1] if self.trend.steps else None

    @property
    def sentence(self) -> str:
        """What happened, with its night."""
        name = f"{self.what} on {self.where}"
        step = self.step
        if step:
            return (
                f"{name}: {shown(step.before, self.unit)} until the night {self.nights[step.night]}"
                f", {shown(step.after, self.unit)} since"
            )
        assert self.trend.low is not None and self.trend.high is not None
        return (
            f"{name}: {shown(self.values[-1], self.unit)} tonight, outside of "
            f"{shown(self.trend.low, self.unit)} to {shown(self.trend.high, self.unit)}"
        )


def shown(value: float, unit: str) -> str:
    """Return a value with its unit."""
    if unit == "ratio":
        return f"{value:.3f}"
    return f"{value:.1f} {unit}" if unit == "s" else f"{value:.0f} {unit}"


def series_of(past: Past) -> list[Series]:
    """Return all series: of the runs, of the kernels, and of what each test takes."""
    found = []
    entries: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for run in past.runs.values():
        if run.whole:
            entries[f"{run.entry} {run.selection}".strip()].append((run.id, run.seconds))
    for entry, points in entries.items():
        found.append(_series(past, "the whole run", entry, "s", points))
    for (name, kernel, machine, unit), points in past.measures.items():
        where = f"{kernel}@{machine}" if machine else kernel
        found.append(_series(past, name, where, unit, _of_whole_runs(past, points)))
    for number, results in past.results.items():
        subject = past.subjects[number]
        taken = [(result.run, result.seconds) for result in results if result.seconds is not None]
        if taken:
            where = f"{subject.kernel}@{subject.machine}" if subject.machine else subject.kernel
            found.append(_series(past, subject.test, where, "s", taken))
    return found


def _of_whole_runs(past: Past, points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Leave out sums over the tests of runs that were cut short."""
    return [(run, value) for run, value in points if past.runs[run].whole]


def _series(
    past: Past, what: str, where: str, unit: str, points: list[tuple[int, float]]
) -> Series:
    values = tuple(value for _, value in points)
    nights = tuple(past.runs[run].night for run, _ in points)
    return Series(what, where, unit, nights, values, trend(values, unit))


def moved(past: Past, found: list[Series]) -> list[Series]:
    """Return the series with a step in the last nights, or a value outside tonight and no step."""
    recent = set(past.nights[-RECENT:])
    told = []
    for series in found:
        if series.step and series.nights[series.step.night] in recent:
            told.append(series)
        elif series.trend.outside and series.nights[-1] == past.tonight:
            told.append(replace(series, trend=replace(series.trend, steps=())))
    return told
