# SPDX-License-Identifier: MIT
"""Operations on mappings: mmap(2), mprotect(2), mremap(2), madvise(2), and on files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.explore.memory import (
    ANONYMOUS,
    KINDS,
    PAGE,
    PROT_MTE,
    PROT_NONE,
    PROT_READ,
    PROT_RW,
    PROT_WRITE,
    ZERO,
    Region,
    Spot,
)
from harness.explore.operations import Part, operation
from harness.explore.steps import Code, Want
from harness.explore.world import MOST_REGIONS, SMALL_PAGES

if TYPE_CHECKING:
    from harness.explore.memory import Page

EINVAL = 22
MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4
FALLOC_KEEP_AND_PUNCH = 3
# include/uapi/asm-generic/mman-common.h
ADVICE = {
    "dontneed": 4,
    "free": 8,
    "remove": 9,
    "dontfork": 10,
    "dofork": 11,
    "mergeable": 12,
    "unmergeable": 13,
    "hugepage": 14,
    "nohugepage": 15,
    "wipeonfork": 18,
    "keeponfork": 19,
    "cold": 20,
    "pageout": 21,
    "populate_read": 22,
    "populate_write": 23,
    "collapse": 25,
    "soft_offline": 101,
    "guard_install": 102,
    "guard_remove": 103,
}
# mm/madvise.c, is_valid_guard_vma(): private anonymous memory since 6.13, files since 6.15.
GUARDS, GUARDS_IN_FILES = (6, 13), (6, 15)
_KIND_NAMES = tuple(KINDS)


@operation("memory", 2)
def map_(part: Part) -> None:
    """Map a region: its kind, size, PROT_MTE and content by ``value``."""
    value, kinds = part.value, len(_KIND_NAMES)
    kind, value = _KIND_NAMES[value % kinds], value // kinds
    pages, value = SMALL_PAGES[value % len(SMALL_PAGES)], value // len(SMALL_PAGES)
    region = part.world.map(part.actor, kind, pages, mte=value % 2 != 0)
    if region and value // 4 % 4:  # a quarter stays untouched
        part.world.pattern(part.actor, region, range(len(region.spots)), value)


@operation("memory", 1)
def unmap(part: Part) -> None:
    """Unmap a part that is there."""
    if not part.all_mapped():
        return
    part.world.call("munmap", part.actor, part.address, part.length)
    if part.whole:
        del part.actor.space.regions[part.region.number]
        return
    part.treat()
    part.region.change(part.span, mapped=False)


_PROTS = (PROT_RW,) * 8 + (PROT_READ, PROT_NONE)


@operation("memory", 12)
def protect(part: Part) -> None:
    """Protect pages. PROT_MTE, once there, stays (memory-tagging-extension.rst, "PROT_MTE")."""
    spots = [part.region.spots[index] for index in part.span]
    if not all(spot.mapped for spot in spots):
        return
    prot = _PROTS[part.value % len(_PROTS)]
    mte = part.value // len(_PROTS) % 3 != 0
    words = prot | (PROT_MTE if mte else 0)
    part.world.call("mprotect", part.actor, part.address, part.length, words)
    part.treat()
    part.region.change(part.span, prot=prot)
    if mte:
        part.region.change(part.span, mte=True)


def _movable(part: Part) -> bool:
    region = part.region
    return region.whole and all(spot.mapped for spot in region.spots)


@operation("memory")
def move(part: Part) -> None:
    """Move all to another place with mremap(2)."""
    if not _movable(part):
        return
    world, region = part.world, part.region
    length = len(region.spots) * PAGE
    address = world.fresh_address()
    flags = MREMAP_MAYMOVE | MREMAP_FIXED
    world.call("mremap", part.actor, region.address, length, length, flags, address, want=address)
    region.address = address


@operation("memory", 2)
def grow(part: Part) -> None:
    """Move anonymous memory to another place, where it has a page more."""
    region, world = part.region, part.world
    if not _movable(part) or region.kind not in ANONYMOUS:
        return
    length = len(region.spots) * PAGE
    address = world.fresh_address()
    flags = MREMAP_MAYMOVE | MREMAP_FIXED
    words = (region.address, length, length + PAGE, flags, address)
    world.call("mremap", part.actor, *words, want=address)
    region.address = address
    last = region.spots[-1]
    region.spots.append(Spot(last.prot, last.mte, ZERO, last.flags))


@operation("memory", 2)
def leave(part: Part) -> None:
    """Move with MREMAP_DONTUNMAP: the old place stays mapped, and is empty."""
    region, world, actor = part.region, part.world, part.actor
    full = len(actor.space.regions) >= MOST_REGIONS
    if not _movable(part) or region.kind not in ANONYMOUS or full:
        return
    length = len(region.spots) * PAGE
    address = world.fresh_address()
    flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP
    world.call("mremap", actor, region.address, length, length, flags, address, want=address)
    world.adopt(actor, Region(0, region.kind, address, list(region.spots)))
    region.change(range(len(region.spots)), own=ZERO, guarded=False)


# --- madvise(2) ----------------------------------------------------------------


def _advise(part: Part, word: str, *, want: int = 0, how: Want = Want.EXACT) -> None:
    call = ("madvise", part.actor, part.address, part.length, ADVICE[word])
    part.world.call(*call, want=want, how=how)


def _drop(region: Region, span: range) -> None:
    """Forget the pages that a private mapping has of its own."""
    own: Page | None = ZERO if region.kind in ANONYMOUS else None
    if region.private:
        region.change(span, own=own)


@operation("madvise")
def dontneed(part: Part) -> None:
    """Drop pages with MADV_DONTNEED; guards stay."""
    if all(part.region.spots[index].mapped for index in part.span):
        _advise(part, "dontneed")
        _drop(part.region, part.span)


@operation("madvise")
def free(part: Part) -> None:
    """Call MADV_FREE: from now on a page has what it had, or zeros."""
    if not part.all_mapped():
        return
    if part.region.kind not in ANONYMOUS:
        _advise(part, "free", want=-EINVAL)
        return
    _advise(part, "free")
    for index in part.span:
        part.region.put(index, part.region.page(index).or_zero())


def _harmless(word: str, weight: int, area: str = "madvise", *, exact: bool = True) -> None:
    """Enter an advice that changes no memory; not ``exact``: the kernel may refuse it."""

    def run(part: Part) -> None:
        if part.all_mapped():
            _advise(part, word, how=Want.EXACT if exact else Want.ANY)
            if word in _FLAGGING:
                part.treat()

    run.__name__ = word
    run.__doc__ = f"MADV_{word.upper()}, which changes no memory."
    operation(area, weight)(run)


# What splits a VMA, if it is told of a part of it.
_FLAGGING = frozenset({"mergeable", "unmergeable", "hugepage", "nohugepage"})
_harmless("cold", 3, "swap")
_harmless("pageout", 12, "swap")
_harmless("hugepage", 2, "thp", exact=False)
_harmless("nohugepage", 2, "thp", exact=False)
_harmless("collapse", 6, "thp", exact=False)
_harmless("unmergeable", 2, exact=False)


@operation("thp", 8)
def split(part: Part) -> None:
    """Split the huge pages of a part through debugfs, where the kernel has it."""
    if part.all_mapped():
        words = (part.address, part.length)
        part.world.step(Code.SPLIT, part.actor, *words, how=Want.ANY)


@operation("swap", 1)
def soft_offline(part: Part) -> None:
    """Take one page offline: the kernel moves it to another frame, if it can."""
    if part.all_allow(PROT_READ):
        words = (part.address, PAGE, ADVICE["soft_offline"])
        part.world.call("madvise", part.actor, *words, how=Want.ANY)


@operation("madvise", 2)
def mergeable(part: Part) -> None:
    """Call MADV_MERGEABLE, and give time for ksmd to look at the pages twice."""
    if part.all_mapped():
        _advise(part, "mergeable", how=Want.ANY)
        part.treat()
        part.world.setting(part.actor, "/sys/kernel/mm/ksm/run", "1")
        part.world.sleep(part.actor, 20)


@operation("madvise", 2)
def ksm_unmerge(part: Part) -> None:
    """Make all merged pages of the guest pages of their own."""
    part.world.setting(part.actor, "/sys/kernel/mm/ksm/run", "2")


@operation("madvise")
def populate_read(part: Part) -> None:
    """Populate what may be read."""
    if part.all_allow(PROT_READ):
        _advise(part, "populate_read")


@operation("madvise")
def populate_write(part: Part) -> None:
    """Populate what may be written: a private page is then this process's own."""
    if part.all_allow(PROT_WRITE):
        _advise(part, "populate_write")
        for index in part.span:
            part.region.put(index, part.region.page(index))


def _flag(word: str, flag: str, weight: int, *, on: bool, only: frozenset[str]) -> None:
    """Enter an advice about fork(2); on kinds that are not in ``only`` it is EINVAL."""

    def run(part: Part) -> None:
        if not part.all_mapped():
            return
        if part.region.kind not in only:
            _advise(part, word, want=-EINVAL)
            return
        _advise(part, word)
        part.treat()
        for index in part.span:
            flags = part.region.spots[index].flags
            flags = flags | {flag} if on else flags - {flag}
            part.region.change(range(index, index + 1), flags=flags)

    run.__name__ = word
    run.__doc__ = f"MADV_{word.upper()}."
    operation("process", weight)(run)


_flag("wipeonfork", "wipe", 2, on=True, only=ANONYMOUS)
_flag("keeponfork", "wipe", 1, on=False, only=frozenset(KINDS))
_flag("dontfork", "dontfork", 1, on=True, only=frozenset(KINDS))
_flag("dofork", "dontfork", 1, on=False, only=frozenset(KINDS))


def _guards_here(part: Part) -> bool:
    since = GUARDS if part.region.kind in ANONYMOUS else GUARDS_IN_FILES
    return part.world.ground.release >= since


@operation("madvise", 2)
def guard_install(part: Part) -> None:
    """Install guards, which drops what private anonymous pages held."""
    if not part.all_mapped():
        return
    if not _guards_here(part):
        _advise(part, "guard_install", want=-EINVAL)
        return
    _advise(part, "guard_install")
    _drop(part.region, part.span)
    part.region.change(part.span, guarded=True)


@operation("madvise", 2)
def guard_remove(part: Part) -> None:
    """Remove guards."""
    if all(part.region.spots[i].mapped for i in part.span) and _guards_here(part):
        _advise(part, "guard_remove")
        part.region.change(part.span, guarded=False)


# --- files ---------------------------------------------------------------------


@operation("file", 2)
def truncate(part: Part) -> None:
    """Truncate the file to half, and back: the rest is zeros, private copies too."""
    region, world = part.region, part.world
    pages = len(region.spots)
    if region.fd < 0 or pages < 2 or region.file is None:
        return
    for length in (pages // 2, pages):
        world.call("ftruncate", part.actor, region.fd, length * PAGE)
    gone = range(pages // 2, pages)
    region.file.pages[gone.start :] = [ZERO] * len(gone)
    for other in world.seen_by_others(region):
        _drop(other, gone)


@operation("file", 2)
def punch(part: Part) -> None:
    """Punch a hole with fallocate(2); private copies of the pages stay."""
    region = part.region
    if region.fd < 0 or region.file is None:
        return
    words = (region.fd, FALLOC_KEEP_AND_PUNCH, part.span.start * PAGE, part.length)
    part.world.call("fallocate", part.actor, *words)
    region.file.pages[part.span.start : part.span.stop] = [ZERO] * len(part.span)


@operation("file", 2)
def remove(part: Part) -> None:
    """Call MADV_REMOVE of a shared mapping: a hole in its file."""
    region = part.region
    if region.private or region.file is None or not part.all_allow(PROT_RW):
        return
    _advise(part, "remove")
    region.file.pages[part.span.start : part.span.stop] = [ZERO] * len(part.span)
