# SPDX-License-Identifier: MIT
"""A series as the coordinates of a small inline SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.history.numbers import shown

if TYPE_CHECKING:
    from harness.history.numbers import Series

WIDTH = 180
HEIGHT = 40
_MARGIN = 4


@dataclass(frozen=True)
class Sketch:
    """Coordinates in SVG units; ``band`` is its y and its height, None without one."""

    points: str
    last: tuple[float, float]
    band: tuple[float, float] | None
    least: str
    most: str
    width: int = WIDTH
    height: int = HEIGHT


def sketch(series: Series) -> Sketch:
    """Return the sketch of a series of at least one value."""
    values, trend = series.values, series.trend
    edges = [edge for edge in (trend.low, trend.high) if edge is not None]
    low, high = min(*values, *edges, values[0]), max(*values, *edges, values[0])
    scale = (HEIGHT - 2 * _MARGIN) / ((high - low) or 1)
    step = (WIDTH - 2 * _MARGIN) / max(len(values) - 1, 1)

    def down(value: float) -> float:
        return round(HEIGHT - _MARGIN - (value - low) * scale, 1)

    places = [(round(_MARGIN + n * step, 1), down(value)) for n, value in enumerate(values)]
    band = None
    if trend.low is not None and trend.high is not None:
        band = (down(trend.high), round(down(trend.low) - down(trend.high), 1))
    return Sketch(
        " ".join(f"{x},{y}" for x, y in places),
        places[-1],
        band,
        shown(min(values), series.unit),
        shown(max(values), series.unit),
    )
