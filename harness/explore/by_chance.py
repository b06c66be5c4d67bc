# SPDX-License-Identifier: MIT
"""Sequences by chance, which hypothesis makes.

Only who needs them imports this module: hypothesis asks for the current directory when it is
imported, and a command that is run where there is none is to say so.
"""

from __future__ import annotations

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, strategies

from harness.explore import generate
from harness.explore.operations import TABLE, Operation, Sequence_

assert generate  # it fills TABLE
LENGTHS = (5, 200)
_ACTORS = _REGIONS = 4
_SPANS = 24
_VALUES = 1 << 16


def _numbers(area: str) -> strategies.SearchStrategy[Operation]:
    """Return operations, each as often as its weight says; with ``area``, mostly those of it."""
    names = [
        entry.name
        for entry in TABLE.values()
        for _ in range(entry.weight * (3 if entry.area == area else 1))
    ]
    # One draw of bytes, which hypothesis makes evenly. Of integers beyond some hundreds it mostly
    # gives small ones: nearly all operations would name the first actor and a whole region.
    return strategies.binary(min_size=8, max_size=8).map(lambda drawn: _operation(names, drawn))


def _operation(names: list[str], drawn: bytes) -> Operation:
    number, name = divmod(int.from_bytes(drawn, "big"), len(names))
    number, actor = divmod(number, _ACTORS)
    number, region = divmod(number, _REGIONS)
    value, span = divmod(number, _SPANS)
    return Operation(names[name], actor, region, span, value % _VALUES)


def random_sequences(seed: int, count: int, area: str = "") -> list[Sequence_]:
    """Return ``count`` sequences; the same numbers give the same ones."""
    found: list[Sequence_] = []
    low, high = LENGTHS
    lengths = strategies.sampled_from([low, 10, 20, 20, 40, 40, 80, high])
    several = lengths.flatmap(
        lambda size: strategies.lists(_numbers(area), min_size=size, max_size=size)
    )

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @hypothesis.given(strategies.integers(0, _VALUES - 1), several)
    def collect(value: int, operations: list[Operation]) -> None:
        begin = Operation("map", value=value)
        found.append((begin, *operations))

    collect()
    return found[:count]
