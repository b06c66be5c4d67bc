# SPDX-License-Identifier: MIT
"""The state of a sequence as the model has it, and the steps that have led there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.explore.memory import (
    ANONYMOUS,
    GRANULES,
    KINDS,
    PAGE,
    PROT_MTE,
    PROT_RW,
    ZERO,
    Actor,
    File,
    Page,
    Region,
    Space,
    Spot,
    runs_of,
)
from harness.explore.steps import ACTORS, FIRST_FD, Change, Code, Step, Want

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.explore.steps import Run

# Addresses of the regions. Static programs, the C library's memory and stacks lie elsewhere.
FIRST_ADDRESS, BETWEEN = 0x20_0000_0000, 64 << 20
# Pages of the kinds that have one size: a huge page, three folios.
_PAGES = {"huge": 512, "hugetlb": 512, "folios": 48}
MOST_REGIONS = 4  # in one address space
SMALL_PAGES = (1, 2, 4, 8, 16, 48)
TAGS, BYTES = 15, 251

MAP_SHARED, MAP_PRIVATE = 0x01, 0x02
MAP_ANONYMOUS, MAP_HUGETLB, MAP_FIXED_NOREPLACE = 0x20, 0x40000, 0x100000
# System calls of arm64 (include/uapi/asm-generic/unistd.h).
NUMBERS = {
    "ftruncate": 46,
    "fallocate": 47,
    "prctl": 167,
    "munmap": 215,
    "mremap": 216,
    "mmap": 222,
    "swapon": 224,
    "swapoff": 225,
    "mprotect": 226,
    "madvise": 233,
}
MADV_HUGEPAGE = 14


@dataclass(frozen=True)
class Ground:
    """What of a guest decides what operations do.

    ``release`` of the kernel, as (7, 3); ``swap``: the path of the swap device, "" for none;
    whether there are userfaultfds, and pages of a hugetlb pool that may be PROT_MTE.
    """

    release: tuple[int, ...]
    swap: str
    userfaultfd: bool = True
    hugetlb: bool = True


class World:
    """All that a sequence has made so far. Each method that does something adds steps."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.steps: list[Step] = []
        self.spaces = [Space()]
        self.actors = {0: Actor(0, self.spaces[0])}
        self.operation = 0
        self._born = 1
        self._regions = 0
        self._files = 0

    # --- steps -----------------------------------------------------------------

    def step(
        self,
        code: Code,
        actor: Actor,
        *args: int | str | tuple[Run, ...],
        want: int = 0,
        how: Want = Want.EXACT,
        changes: Change = Change.NOTHING,
        name: str = "",
    ) -> None:
        """Add a step; ``name`` is that of a system call."""
        number = NUMBERS[name] if name else 0
        words = (code, actor.number, args, want, how, number, name, changes, self.operation)
        self.steps.append(Step(*words))

    def call(
        self,
        name: str,
        actor: Actor,
        *args: int | str,
        want: int = 0,
        how: Want = Want.EXACT,
        changes: Change = Change.NOTHING,
    ) -> None:
        """Add a system call."""
        self.step(Code.CALL, actor, *args, want=want, how=how, changes=changes, name=name)

    def setting(self, actor: Actor, path: str, text: str) -> None:
        """Write to a file of the guest, which its kernel may lack."""
        self.step(Code.FILE, actor, path, text, how=Want.ANY, changes=Change.SETTINGS)

    def sleep(self, actor: Actor, milliseconds: int) -> None:
        """Let time pass."""
        self.step(Code.SLEEP, actor, milliseconds)

    # --- regions ---------------------------------------------------------------

    def map(self, actor: Actor, kind: str, pages: int, *, mte: bool) -> Region | None:
        """Map a region; None where the address space has enough of them, or no such kind."""
        if len(actor.space.regions) >= MOST_REGIONS:
            return None
        if kind == "hugetlb" and not self.ground.hugetlb:
            return None
        pages = _PAGES.get(kind, pages)
        length = pages * PAGE
        file, fd = None, -1
        flags = MAP_FIXED_NOREPLACE | (MAP_SHARED if KINDS[kind].shared else MAP_PRIVATE)
        if kind not in ANONYMOUS:
            file = File([ZERO] * pages)
        if KINDS[kind].memfd:
            fd = FIRST_FD + self._files
            self._files += 1
            self.step(Code.MEMFD, actor, fd, length)
        else:
            flags |= MAP_ANONYMOUS | (MAP_HUGETLB if kind == "hugetlb" else 0)
        address = self.fresh_address()
        prot = PROT_RW | (PROT_MTE if mte else 0)
        self.call("mmap", actor, address, length, prot, flags, fd, 0, want=address)
        if kind in {"huge", "folios"}:
            self.call("madvise", actor, address, length, MADV_HUGEPAGE, how=Want.ANY)
        spots = [Spot(PROT_RW, mte)] * pages
        return self.adopt(actor, Region(0, kind, address, spots, file, fd))

    def fresh_address(self) -> int:
        """Return an address where nothing is, and nothing was."""
        self._regions += 1
        return FIRST_ADDRESS + (self._regions - 1) * BETWEEN

    def adopt(self, actor: Actor, region: Region) -> Region:
        """Give an address space a region."""
        region.number = self._regions
        actor.space.regions[region.number] = region
        return region

    def pattern(self, actor: Actor, region: Region, span: range, value: int) -> None:
        """Fill pages, each with its own data and, where there are tags, tag."""
        mte = region.spots[span.start].mte
        tag, byte = (value % TAGS or TAGS) if mte else 0, value % BYTES
        self.step(Code.PATTERN, actor, region.at(span.start), len(span), tag, byte)
        for index in span:
            place = index - span.start
            tags = region.page(index).tags
            if mte:
                tags = bytes([1 + (tag + place) % TAGS]) * GRANULES
            region.put(index, Page(tags, bytes([(byte + place) % BYTES]) * GRANULES))

    def seen_by_others(self, region: Region) -> Iterator[Region]:
        """Yield the regions of all address spaces that map the file of ``region``."""
        for space in self.spaces:
            for other in space.regions.values():
                if region.file is not None and other.file is region.file:
                    yield other

    def check(self, actor: Actor) -> None:
        """Compare all memory that the actor can read."""
        for region in actor.space.regions.values():
            for span in region.readable():
                runs = runs_of(region.seen(index) for index in span)
                self.step(Code.CHECK, actor, region.at(span.start), runs)

    def check_all(self) -> None:
        """Compare all memory, each address space once."""
        done: list[Space] = []
        for actor in list(self.actors.values()):
            if not any(actor.space is space for space in done):
                done.append(actor.space)
                self.check(actor)

    # --- actors ----------------------------------------------------------------

    def begin(self, actor: Actor, *, thread: bool) -> Actor | None:
        """Fork, or start a thread; None where there are enough of them."""
        if self._born >= ACTORS:
            return None
        number = self._born
        self._born += 1
        code = Code.THREAD if thread else Code.FORK
        self.step(code, actor, number)
        space = actor.space if thread else _forked(actor.space)
        if not thread:
            self.spaces.append(space)
        self.actors[number] = Actor(number, space, actor.mode, leads=not thread)
        return self.actors[number]

    def end(self, actor: Actor) -> bool:
        """Let an actor end, unless others of its process would stay without their first thread."""
        others = [one for one in self.actors.values() if one.space is actor.space]
        if actor.leads and len(others) > 1:
            return False
        self.step(Code.EXIT, actor)
        del self.actors[actor.number]
        if len(others) == 1:
            self.spaces = [space for space in self.spaces if space is not actor.space]
        return True


def _forked(space: Space) -> Space:
    """Return a copy of an address space, as fork(2) and madvise(2) have it."""
    regions = {}
    for number, region in space.regions.items():
        copy = region.copy()
        for index, spot in enumerate(copy.spots):
            if "dontfork" in spot.flags:
                copy.spots[index] = dataclasses.replace(spot, mapped=False)
            elif "wipe" in spot.flags:
                # dup_mmap() copies no page table of it, and so no guard.
                copy.spots[index] = dataclasses.replace(spot, own=ZERO, guarded=False)
        regions[number] = copy
    return Space(regions)
