# SPDX-License-Identifier: MIT
"""Numbers to coordinates: the geometry of the report's small inline SVG plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verdict.counters import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.model import TestRecord

WIDTH = 300
HEIGHT = 84
_MARGIN = 4


@dataclass(frozen=True)
class Bar:
    """One bar in SVG units. ``label`` is its tooltip; ``over``: the change exceeds the rule."""

    x: float
    y: float
    width: float
    height: float
    label: str
    over: bool


@dataclass(frozen=True)
class Bars:
    """A counter's growth over each test of the report, in order."""

    name: str
    bars: tuple[Bar, ...]
    zero: float
    least: int
    most: int
    allowed: int
    limit: float | None  # the y of the allowed growth, where it is within the plot
    unit: str


def growth(tests: Sequence[TestRecord]) -> tuple[Bars, ...]:
    """Return a plot for each counter that a rule of verdict/counters.py has and a test changed."""
    plots = []
    for rule in RULES:
        changes = [
            (test, last.values[rule.name] - first.values[rule.name])
            for test in tests
            if len(test.result.samples) > 1
            for first, last in [(test.result.samples[0], test.result.samples[-1])]
            if rule.name in first.values and rule.name in last.values
        ]
        if any(change for _, change in changes):
            unit = "pages" if rule.vmstat or rule.name.startswith("HugePages") else "kB"
            plots.append(_bars(rule.name, changes, rule.slack, unit))
    return tuple(plots)


def _bars(name: str, changes: list[tuple[TestRecord, int]], allowed: int, unit: str) -> Bars:
    values = [change for _, change in changes]
    low, high = min(0, *values), max(0, *values)
    down = name in {rule.name for rule in RULES if rule.direction.name == "LOSS"}
    scale = (HEIGHT - 2 * _MARGIN) / ((high - low) or 1)
    zero = _MARGIN + high * scale
    step = WIDTH / len(values)
    limit = zero + (allowed if down else -allowed) * scale
    return Bars(
        name=name,
        bars=tuple(
            Bar(
                x=number * step,
                y=zero - max(change, 0) * scale,
                width=max(step - 1, 0.5),
                height=abs(change) * scale,
                label=f"{test.name} on {test.kernel}: {change:+d} {unit}",
                over=(-change if down else change) > allowed,
            )
            for number, (test, change) in enumerate(changes)
        ),
        zero=zero,
        least=min(values),
        most=max(values),
        allowed=allowed,
        limit=limit if 0 <= limit <= HEIGHT and allowed else None,
        unit=unit,
    )
