# SPDX-License-Identifier: MIT
"""Sequences by chance.

Not hypothesis: it makes most of its examples by changing earlier ones a little, which is right for
a search near a failure, and left 60 sequences with a handful of families. A sequence is valid
whatever is taken out of it (see operations.py), so that nothing of it is needed for shrinking.
"""

from __future__ import annotations

import random

from harness.explore import generate
from harness.explore.memory import KINDS
from harness.explore.operations import TABLE, Operation, Sequence_

assert generate  # it fills TABLE
LENGTHS = (5, 10, 20, 20, 40, 40, 80, 200)
# One process and one region are meant more often than others, so that operations meet.
_ACTORS = (0, 0, 0, 0, 0, 1, 1, 2, 3)
_REGIONS = (0, 0, 0, 0, 1, 1, 2, 3)
# What choose_span() takes: all, halves and single pages more often than other parts, since kernels
# err where a system call treats a part of what another one made whole.
_SPANS = (0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5, *range(6, 16))
# Kinds of the first region, by their place in KINDS: a huge page twice as often as the others.
_FIRST = {
    "": (0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6),
    "thp": (1, 1, 6),
    "file": (2, 3, 4),
    "uffd": (0, 1, 6),
}
_VALUES = 1 << 16
# What a sequence may set before its first region is there, which it could not show afterwards.
_SETTINGS = ("folios", "swap_shape", "thp_enabled")


def random_sequences(seed: int, count: int, area: str = "") -> list[Sequence_]:
    """Return ``count`` sequences, with ``area`` mostly operations of it.

    The same numbers give the same ones.
    """
    chance = random.Random(seed)
    names = [entry.name for entry in TABLE.values()]
    weights = [entry.weight * (3 if entry.area == area else 1) for entry in TABLE.values()]
    kinds = _FIRST.get(area, _FIRST[""])
    found = []
    for _ in range(count):
        begin = Operation(
            "map", value=chance.choice(kinds) + len(KINDS) * chance.randrange(_VALUES)
        )
        chosen = chance.choices(names, weights, k=chance.choice(LENGTHS))
        settings = [_operation(chance.choice(_SETTINGS), chance)] * (chance.random() < 1 / 3)
        found.append((*settings, begin, *(_operation(name, chance) for name in chosen)))
    return found


def _operation(name: str, chance: random.Random) -> Operation:
    return Operation(
        name,
        chance.choice(_ACTORS),
        chance.choice(_REGIONS),
        chance.choice(_SPANS),
        chance.randrange(_VALUES),
    )
