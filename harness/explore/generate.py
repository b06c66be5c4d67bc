# SPDX-License-Identifier: MIT
"""All short sequences of a few core operations, and the steps of any sequence."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from harness.explore import on_content, on_guest, on_memory, on_uffd
from harness.explore.memory import KINDS
from harness.explore.operations import Operation, Sequence_, apply
from harness.explore.world import SMALL_PAGES, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.explore.steps import Step
    from harness.explore.world import Ground

assert on_memory and on_content and on_guest and on_uffd  # they fill TABLE

# The core: each with one fixed set of numbers, on the first half where it takes a part.
_HALF = 1
CORE = (
    Operation("protect", span=_HALF, value=10),  # read and write, PROT_MTE
    Operation("stg", span=_HALF, value=3 * 6),
    Operation("fill", span=_HALF, value=77),
    Operation("fork"),
    Operation("dontneed", span=_HALF),
    Operation("pageout"),
    Operation("swapoff"),
    Operation("move"),
    Operation("collapse"),
    Operation("split"),
    Operation("populate_write"),
    Operation("check"),
)


def exhaustive(length: int) -> Iterator[Sequence_]:
    """Yield all sequences of 1 to ``length`` core operations on each kind of region.

    A region is plain, PROT_MTE, or PROT_MTE in its second half.
    """
    for kind in range(len(KINDS)):
        for form in ("plain", "mte", "half"):
            begin = _region(kind, form)
            for some in range(1, length + 1):
                for chosen in itertools.product(CORE, repeat=some):
                    yield (*begin, *chosen)


def _region(kind: int, form: str) -> Sequence_:
    kinds, sizes = len(KINDS), len(SMALL_PAGES)
    filled, tagged = 4, 1
    size = 2  # SMALL_PAGES[2] pages
    rest = {"plain": filled, "mte": filled + tagged, "half": filled}[form]
    made = Operation("map", value=kind + kinds * (size + sizes * rest))
    if form != "half":
        return (made,)
    half = 2  # the second
    return made, Operation("protect", span=half, value=10), Operation("pattern", span=half, value=7)


def steps_of(sequence: Sequence_, ground: Ground) -> tuple[Step, ...]:
    """Return the steps of a sequence, which end with a comparison of all memory."""
    world = World(ground)
    for number, operation in enumerate(sequence):
        world.operation = number
        apply(world, operation)
    world.operation = len(sequence)
    world.check_all()
    return tuple(world.steps)
