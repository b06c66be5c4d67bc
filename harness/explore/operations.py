# SPDX-License-Identifier: MIT
"""The operations of a sequence, and what each must do by the model.

An operation is symbolic: its numbers choose among what is there when it runs, so that a sequence
stays valid whatever is taken out of it. One that does not apply does nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from harness.explore.memory import PAGE, PROT_NONE, PROT_RW, Region

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.explore.memory import Actor
    from harness.explore.world import World

AREAS = ("memory", "madvise", "swap", "thp", "tags", "process", "syscalls", "peer", "file", "uffd")


@dataclass(frozen=True)
class Operation:
    """One operation: what, by which actor, on which part of which region, and a free number."""

    kind: str
    actor: int = 0
    region: int = 0
    span: int = 0
    value: int = 0

    def to_json(self) -> dict[str, str | int]:
        """Return what `Operation(**...)` takes, without what is 0."""
        return {name: value for name, value in asdict(self).items() if value}


Sequence_ = tuple[Operation, ...]


@dataclass(frozen=True)
class Part:
    """What an operation works on: pages ``span`` of a region, for an actor."""

    world: World
    actor: Actor
    region: Region
    span: range
    value: int

    @property
    def address(self) -> int:
        """The first byte."""
        return self.region.at(self.span.start)

    @property
    def length(self) -> int:
        """Bytes."""
        return len(self.span) * PAGE

    @property
    def whole(self) -> bool:
        """Whether it is all of the region."""
        return len(self.span) == len(self.region.spots)

    def all_mapped(self) -> bool:
        """Return whether no page is unmapped or a guard."""
        spots = [self.region.spots[index] for index in self.span]
        return all(spot.mapped and not spot.guarded for spot in spots)

    def all_allow(self, prot: int) -> bool:
        """Return whether each page is mapped, and may be accessed so."""
        return self.all_mapped() and all(
            self.region.spots[index].prot & prot == prot for index in self.span
        )

    def treat(self) -> None:
        """Note that a system call treats these pages otherwise than the rest of the region."""
        if not self.whole:
            self.region.whole = False


@dataclass(frozen=True)
class Entry:
    """A kind of operation. ``weight``: how often it is chosen, beside the others."""

    name: str
    area: str
    weight: int
    run: Callable[[Part], None]


TABLE: dict[str, Entry] = {}


def operation(
    area: str, weight: int = 4
) -> Callable[[Callable[[Part], None]], Callable[[Part], None]]:
    """Put a function into the table under its name."""

    def enter(function: Callable[[Part], None]) -> Callable[[Part], None]:
        name = function.__name__.rstrip("_")
        assert area in AREAS and name not in TABLE, name
        TABLE[name] = Entry(name, area, weight, function)
        return function

    return enter


def choose_span(pages: int, number: int) -> range:
    """Return the pages that ``number`` names: all, a half, the first, last or middle one, some."""
    half, middle = pages // 2, pages // 2
    fixed = [range(pages), range(half), range(half, pages), range(1), range(pages - 1, pages),
             range(middle, middle + 1)]  # fmt: skip
    if number < len(fixed):
        return fixed[number] or range(pages)
    first = number % pages
    return range(first, first + 1 + number // pages % (pages - first))


_NOWHERE = Region(0, "anon", 0, [])
# Operations that are to meet what is not mapped, or a guard, too.
ROUGH = frozenset({"load", "store", "read", "write", "guard_remove"})
# Operations for which there need not be a region.
FREE = frozenset(
    {"map", "fork", "thread", "exit", "mode", "check", "sleep"}
    | {"folios", "thp_enabled", "thp_shmem", "swap_shape", "swapoff", "cpu"}
)
# Operations for a page of a hugetlb pool. Whatever maps, protects or drops treats all of it.
OF_HUGETLB = FREE | {"unmap", "protect", "move", "dontneed", "populate_read", "populate_write"}
AREAS_OF_HUGETLB = frozenset({"tags", "syscalls", "peer"})


def _usable(region: Region, span: range, prot: int) -> range:
    """Return the first pages of a span that are mapped, no guards, and may be accessed so.

    Without this, most operations of a long sequence would find a page that they cannot treat.
    """
    start = span.start
    for index in span:
        spot = region.spots[index]
        if not spot.mapped or spot.guarded or spot.prot & prot != prot:
            if index > start:
                return range(start, index)
            start = index + 1
    return range(start, span.stop)


def apply(world: World, operation: Operation) -> None:
    """Let the world do an operation, or nothing if it does not apply."""
    if not world.actors:
        return
    actors = [world.actors[number] for number in sorted(world.actors)]
    actor = actors[operation.actor % len(actors)]
    regions = list(actor.space.regions.values())
    if regions:
        region = regions[operation.region % len(regions)]
        span = choose_span(len(region.spots), operation.span)
        area = TABLE[operation.kind].area
        if region.kind == "hugetlb" and area not in AREAS_OF_HUGETLB:
            if operation.kind not in OF_HUGETLB:
                return
            span = range(len(region.spots))
        elif operation.kind not in ROUGH:
            span = _usable(region, span, PROT_RW if area == "tags" else PROT_NONE) or span
        TABLE[operation.kind].run(Part(world, actor, region, span, operation.value))
    elif operation.kind in FREE:
        TABLE[operation.kind].run(Part(world, actor, _NOWHERE, range(0), operation.value))
