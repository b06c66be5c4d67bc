# SPDX-License-Identifier: MIT
"""Operations on content, processes and threads, and system calls that take pointers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.explore.memory import (
    DIRT,
    GRANULE,
    GRANULES,
    PROT_READ,
    PROT_RW,
    PROT_WRITE,
)
from harness.explore.operations import Part, operation
from harness.explore.steps import Code, TagStore, Want
from harness.explore.world import BYTES, TAGS

if TYPE_CHECKING:
    from harness.explore.memory import Actor, Page, Region

EFAULT = 14
SEGV_MAPERR, SEGV_ACCERR, SEGV_MTEAERR, SEGV_MTESERR = 1, 2, 8, 9
PR_SET_TAGGED_ADDR_CTRL = 55
TAG_SHIFT = 56
# PR_TAGGED_ADDR_ENABLE, PR_MTE_TCF_* and all tags but 0 for IRG (include/uapi/linux/prctl.h).
_COMMON = 1 | 0xFFFE << 3
MODES = {"none": _COMMON, "sync": _COMMON | 2, "async": _COMMON | 4}
_MODE_NAMES = tuple(MODES)
_CHECKED = frozenset({"sync", "async"})


@dataclass(frozen=True)
class Place:
    """One granule of a page of a region."""

    region: Region
    index: int
    granule: int

    @property
    def address(self) -> int:
        """Its first byte."""
        return self.region.at(self.index) + self.granule * GRANULE

    @property
    def page(self) -> Page:
        """The page, as loads and LDG see it."""
        return self.region.seen(self.index)

    @property
    def tag(self) -> int:
        """Its tag, 0 without PROT_MTE, or DIRT."""
        return self.page.tags[self.granule]

    @property
    def byte(self) -> int:
        """What fills it, or DIRT."""
        return self.page.data[self.granule]

    def fill(self, byte: int) -> None:
        """Note a store to all of it."""
        page = self.region.page(self.index)
        self.region.put(self.index, page.with_data(self.granule, 1, byte))


def _granule(part: Part) -> Place:
    return Place(part.region, part.span.start, part.value % GRANULES)


# --- stores --------------------------------------------------------------------


def _with_tags(part: Part) -> range:
    """Return the first pages of a part that have tags; all of it if none has, and at times."""
    mte = [index for index in part.span if part.region.spots[index].mte]
    if not mte or part.value % 8 == 0:
        return part.span
    run = itertools.takewhile(
        lambda index: part.region.spots[index].mte, range(mte[0], part.span.stop)
    )
    return range(mte[0], mte[0] + len(list(run)))


def _tag_store(name: str, how: TagStore, unit: int, weight: int, *, zeroes: bool) -> None:
    def run(part: Part) -> None:
        if not part.all_allow(PROT_RW):
            return
        whole, tag = part.value % 3 != 1, part.value // 3 % (TAGS + 1)
        first, count = 0, GRANULES
        among = _with_tags(part)
        if not whole:
            first = part.value // 48 % (GRANULES // unit) * unit
            count = min(unit * (1 + part.value // 1000 % 8), GRANULES - first)
        span = among if whole else among[:1]
        address = part.region.at(span.start) + first * GRANULE
        part.world.step(Code.TAGS, part.actor, address, count * len(span), tag, how)
        for index in span:
            page = part.region.page(index)
            if part.region.spots[index].mte:
                page = page.with_tags(first, count, tag)
            part.region.put(index, page.with_data(first, count, 0) if zeroes else page)

    run.__name__ = name
    run.__doc__ = f"Store tags with {how.name}. Memory without PROT_MTE has none to change."
    operation("tags", weight)(run)


_tag_store("stg", TagStore.STG, 1, 8, zeroes=False)
_tag_store("st2g", TagStore.ST2G, 2, 2, zeroes=False)
_tag_store("stzg", TagStore.STZG, 1, 3, zeroes=True)
_tag_store("gva", TagStore.GVA, 4, 2, zeroes=False)
_tag_store("gzva", TagStore.GZVA, 4, 2, zeroes=True)


@operation("tags", 8)
def fill(part: Part) -> None:
    """Fill pages, or a few granules of the first, with one byte."""
    if not part.all_allow(PROT_RW):
        return
    byte, some = part.value % BYTES, part.value // BYTES % 3
    if some == 0:
        first, count, span = 0, GRANULES, part.span
    else:
        first, count = part.value // 753 % GRANULES, 1
        span = range(part.span.start, part.span.start + 1)
    address = part.region.at(span.start) + first * GRANULE
    part.world.step(Code.FILL, part.actor, address, count * len(span), byte)
    for index in span:
        part.region.put(index, part.region.page(index).with_data(first, count, byte))


@operation("tags", 4)
def pattern(part: Part) -> None:
    """Give each page its own data and tag."""
    if part.all_allow(PROT_RW):
        first = part.region.spots[part.span.start].mte
        same = itertools.takewhile(lambda index: part.region.spots[index].mte == first, part.span)
        span = range(part.span.start, part.span.start + len(list(same)))
        part.world.pattern(part.actor, part.region, span, part.value)


# --- single accesses -----------------------------------------------------------


def _pointer(spot: Place, value: int) -> tuple[int, bool | None]:
    """Return a pointer, and whether its tag matches; None if that is not known."""
    right = value // GRANULES % 3 != 0
    tag = spot.tag
    if tag == DIRT:
        return spot.address, None
    given = tag if right else (tag + 1 + value % TAGS) % (TAGS + 1)
    matches = given == tag or not spot.region.spots[spot.index].mte
    return spot.address | given << TAG_SHIFT, matches


def _late(actor: Actor) -> int:
    return {"sync": -SEGV_MTESERR, "async": -SEGV_MTEAERR}[actor.mode]


def _denied(spot: Place, prot: int) -> int:
    """Return the si_code of an access that is never allowed, or 0."""
    here = spot.region.spots[spot.index]
    if not here.mapped:
        return SEGV_MAPERR
    return 0 if here.prot & prot == prot else SEGV_ACCERR


@operation("tags", 5)
def load(part: Part) -> None:
    """Load through a pointer whose tag may be wrong."""
    _access(part, stores=False)


@operation("tags", 5)
def store(part: Part) -> None:
    """Store a granule through a pointer whose tag may be wrong."""
    _access(part, stores=True)


def _access(part: Part, *, stores: bool) -> None:
    spot, actor = _granule(part), part.actor
    byte = part.value % BYTES
    code = Code.STORE if stores else Code.LOAD
    words = (byte,) if stores else ()
    step = part.world.step
    if part.region.spots[spot.index].guarded:
        step(code, actor, spot.address, *words, how=Want.FAULT)
        return
    if denied := _denied(spot, PROT_WRITE if stores else PROT_READ):
        step(code, actor, spot.address, *words, want=-denied)
        return
    pointer, matches = _pointer(spot, part.value)
    if matches is None and actor.mode in _CHECKED:
        return
    checked = actor.mode in _CHECKED and not matches
    if stores:
        step(code, actor, pointer, byte, want=_late(actor) if checked else 0)
        if not (checked and actor.mode == "sync"):
            spot.fill(byte)
    elif checked:
        step(code, actor, pointer, want=_late(actor))
    elif spot.byte != DIRT:
        step(code, actor, pointer, want=spot.byte)


# --- system calls on this process's memory --------------------------------------


@operation("syscalls")
def read_(part: Part) -> None:
    """Read from a pipe into a granule."""
    _system_call(part, Code.READ, PROT_WRITE)


@operation("syscalls")
def write_(part: Part) -> None:
    """Write a granule to a pipe."""
    _system_call(part, Code.WRITE, PROT_READ)


def _system_call(part: Part, code: Code, prot: int) -> None:
    """Let the kernel access a granule: with a wrong tag it gets EFAULT in mode sync only.

    memory-tagging-extension.rst, "Tag Check Faults": in asynchronous mode the kernel's accesses
    are not checked.
    """
    spot, actor, byte = _granule(part), part.actor, part.value % BYTES
    pointer, matches = _pointer(spot, part.value)
    if matches is None and actor.mode in _CHECKED:
        return
    here = part.region.spots[spot.index]
    refused = not here.mapped or here.guarded or here.prot & prot != prot
    refused = refused or (not matches and actor.mode == "sync")
    refused = refused or (actor.mode == "off" and pointer >> TAG_SHIFT != 0)
    if code is Code.WRITE:
        byte = spot.byte
        if byte == DIRT:
            return
    want = -EFAULT if refused else GRANULE
    part.world.step(code, actor, pointer, GRANULE, byte, want=want)
    if code is Code.READ and not refused:
        spot.fill(byte)


# --- memory of another process ---------------------------------------------------


def _peer(part: Part) -> tuple[Actor, Part] | None:
    """Return another process's first thread, and a part of its memory."""
    others = [
        actor
        for actor in part.world.actors.values()
        if actor.leads and actor.space is not part.actor.space and actor.space.regions
    ]
    if not others:
        return None
    other = others[part.value % len(others)]
    regions = list(other.space.regions.values())
    region = regions[part.value // 4 % len(regions)]
    span = range(part.value // 16 % len(region.spots), len(region.spots))[:1]
    return other, Part(part.world, other, region, span, part.value)


@operation("peer")
def peer_read(part: Part) -> None:
    """Read another process with process_vm_readv(2)."""
    if found := _peer(part):
        other, theirs = found
        spot = _granule(theirs)
        if theirs.all_allow(PROT_READ) and spot.byte != DIRT:
            words = (other.number, spot.address, GRANULE, spot.byte)
            part.world.step(Code.PEER_READ, part.actor, *words, want=GRANULE)


@operation("peer")
def peer_write(part: Part) -> None:
    """Write to another process with process_vm_writev(2)."""
    if found := _peer(part):
        other, theirs = found
        spot, byte = _granule(theirs), part.value % BYTES
        if theirs.all_allow(PROT_RW):
            words = (other.number, spot.address, GRANULE, byte)
            part.world.step(Code.PEER_WRITE, part.actor, *words, want=GRANULE)
            spot.fill(byte)


def _same_tags(spot: Place) -> int:
    """Return how many granules from a spot on have its tag, in its page."""
    tags = spot.page.tags[spot.granule :]
    return len(tags) - len(tags.lstrip(tags[:1]))


@operation("peer")
def peek_tags(part: Part) -> None:
    """Read tags of a stopped process with PTRACE_PEEKMTETAGS."""
    if found := _peer(part):
        other, theirs = found
        spot = _granule(theirs)
        here = theirs.region.spots[spot.index]
        if theirs.all_allow(PROT_READ) and here.mte and spot.tag != DIRT:
            count = _same_tags(spot)
            words = (other.number, spot.address, count, spot.tag)
            part.world.step(Code.PEEK_TAGS, part.actor, *words, want=count)


@operation("peer")
def poke_tags(part: Part) -> None:
    """Write tags of a stopped process with PTRACE_POKEMTETAGS."""
    if found := _peer(part):
        other, theirs = found
        spot, tag = _granule(theirs), part.value // 7 % (TAGS + 1)
        count = min(4, GRANULES - spot.granule)
        if theirs.all_allow(PROT_RW) and theirs.region.spots[spot.index].mte:
            words = (other.number, spot.address, count, tag)
            part.world.step(Code.POKE_TAGS, part.actor, *words, want=count)
            page = spot.region.page(spot.index)
            spot.region.put(spot.index, page.with_tags(spot.granule, count, tag))


# --- processes and threads -------------------------------------------------------


@operation("process", 3)
def fork(part: Part) -> None:
    """Begin a process, as fork(2) does."""
    part.world.begin(part.actor, thread=False)


@operation("process", 2)
def thread(part: Part) -> None:
    """Begin a thread; it inherits the mode."""
    part.world.begin(part.actor, thread=True)


@operation("process", 2)
def exit_(part: Part) -> None:
    """End a process or a thread, but not the last."""
    if len(part.world.actors) > 1:
        part.world.end(part.actor)


@operation("process", 5)
def mode(part: Part) -> None:
    """Set how this thread's tag check faults are reported."""
    name = _MODE_NAMES[part.value % len(_MODE_NAMES)]
    words = (PR_SET_TAGGED_ADDR_CTRL, MODES[name], 0, 0, 0)
    part.world.call("prctl", part.actor, *words)
    part.actor.mode = name


@operation("process", 6)
def check(part: Part) -> None:
    """Compare all memory of the actor with the model."""
    part.world.check(part.actor)


@operation("process", 1)
def sleep(part: Part) -> None:
    """Let some time pass, for kernel threads."""
    part.world.sleep(part.actor, 1 + part.value % 10)
