# SPDX-License-Identifier: MIT
"""A number over many nights: the band in which it stays, and the night of a step. Pure.

The band is the median of up to BASE values of the present level, plus and minus four standard
deviations as the median absolute deviation estimates them, but not less than what the unit
allows as noise. A step is two values in a row that are outside of the band on the same side; a
single one, the newest, is outside for now.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BASE = 14
ENOUGH = 5  # values without which there is no band
_DEVIATIONS = 4 * 1.4826  # of the median absolute deviation of a normal distribution
# Unit -> part of the median, and least amount, that is noise. Wall time depends on what else the
# host does; a ratio of counted instructions does not.
NOISE = {"s": (0.4, 1.0), "kB": (0.25, 1024.0), "pages": (0.25, 64.0), "ratio": (0.01, 0.0)}


@dataclass(frozen=True)
class Step:
    """A level that changed: the first night of the new one, and both medians."""

    night: int
    before: float
    after: float


@dataclass(frozen=True)
class Trend:
    """The band of the newest level (None while there are too few values), and all steps.

    ``outside``: the newest value alone is out of the band.
    """

    low: float | None
    high: float | None
    steps: tuple[Step, ...]
    outside: bool


def trend(values: Sequence[float], unit: str) -> Trend:
    """Return the trend of ``values``, the oldest first, one a night."""
    start = 0
    steps: list[Step] = []
    band: tuple[float, float] | None = None
    side = 0
    for index, value in enumerate(values):
        base = values[max(start, index - BASE) : index]
        if len(base) < ENOUGH:
            band, side = None, 0
            continue
        band = _band(base, unit)  # one value that is outside moves no median by much
        now = (value > band[1]) - (value < band[0])
        if now and now == side:
            level = statistics.median(values[max(start, index - 1 - BASE) : index - 1])
            steps.append(Step(index - 1, level, statistics.median(values[index - 1 : index + 1])))
            start, side, band = index - 1, 0, None
        else:
            side = now
    if side == 0 and len(values) - start >= ENOUGH:
        band = _band(values[max(start, len(values) - BASE) :], unit)
    if steps:  # by now more is known of the new level
        steps[-1] = Step(steps[-1].night, steps[-1].before, statistics.median(values[start:]))
    low, high = band or (None, None)
    return Trend(low, high, tuple(steps), bool(side))


def _band(values: Sequence[float], unit: str) -> tuple[float, float]:
    middle = statistics.median(values)
    spread = statistics.median([abs(value - middle) for value in values])
    part, least = NOISE[unit]
    margin = max(_DEVIATIONS * spread, part * abs(middle), least)
    return middle - margin, middle + margin
