# SPDX-License-Identifier: MIT
"""Sequences by chance, which hypothesis makes.

Only who needs them imports this module: hypothesis asks for the current directory when it is
imported, and a command that is run where there is none is to say so.
"""

from __future__ import annotations

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, strategies

from harness.explore import generate
from harness.explore.memory import KINDS
from harness.explore.operations import TABLE, Operation, Sequence_

assert generate  # it fills TABLE
LENGTHS = (5, 200)
_ACTORS = _REGIONS = 4
# What choose_span() takes: all, halves and single pages more often than other parts, since kernels
# err where a system call treats a part of what another one made whole.
_SPANS = (0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5, *range(6, 16))
# Kinds of the first region, by their place in KINDS: a huge page twice as often as the others.
_FIRST = {"": (0, 1, 1, 2, 3, 4), "thp": (1,), "file": (2, 3, 4)}
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
    value, span = divmod(number, len(_SPANS))
    return Operation(names[name], actor, region, _SPANS[span], value % _VALUES)


def random_sequences(seed: int, count: int, area: str = "") -> list[Sequence_]:
    """Return ``count`` sequences; the same numbers give the same ones."""
    found: list[Sequence_] = []
    low, high = LENGTHS
    kinds = _FIRST.get(area, _FIRST[""])
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
    @hypothesis.given(strategies.binary(min_size=2, max_size=2), several)
    def collect(drawn: bytes, operations: list[Operation]) -> None:
        rest, kind = divmod(int.from_bytes(drawn, "big"), len(kinds))
        begin = Operation("map", value=kinds[kind] + len(KINDS) * rest)
        found.append((begin, *operations))

    collect()
    return found[:count]
