# SPDX-License-Identifier: MIT
"""The rules of an audit, on the struct pages of a paused guest.

Each returns the page frames (PFNs, shape (n,)) that break it. A page is *tagged* if it has
PG_mte_tagged. Its *storage* is the page of tag storage that its tags lie in; a *block* of
storage is what a kernel reserves at once (the device tree's block-size).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.verdict.finding import FindingKind
from harness.vm.geometry import PAGE
from harness.vm.spec import Description

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.verdict.vmcore import Pages
    from harness.vm.dram import Dram

    Frames = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Expected:
    """Tags that a program has set: ``pfns`` of shape (n,), ``storage`` of shape (n, 128)."""

    pfns: Frames
    storage: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PausedGuest:
    """What was copied from a paused guest.

    ``bits`` are numbers of bits in page->flags: "tagged", "reserved", and "holds" in a
    kernel that reuses tag storage. ``tags`` are the storage bytes in DRAM of the frames of
    ``expected``, shape (n, 128). ``seconds``: how long the guest was paused.
    """

    pages: Pages
    bits: dict[str, int]
    expected: Expected | None
    tags: npt.NDArray[np.uint8] | None
    seconds: float


def check(dram: Dram, describe: Description, paused: PausedGuest) -> dict[FindingKind, Frames]:
    """Return the frames that break a rule, by rule; rules that none breaks are left out."""
    tagged = paused.pages.flag(paused.bits["tagged"])
    in_use, unknown = _storage(dram, describe, paused, tagged)
    own = np.array(sorted(dram.storage_frames()))
    found = {
        FindingKind.STORAGE_IN_USE: in_use,
        FindingKind.STORAGE_TAGGED: own[tagged[own - paused.pages.first]],
        FindingKind.UNKNOWN: unknown,
        **_references(dram, paused, tagged),
        **_compare(paused, tagged),
    }
    return {kind: pfns for kind, pfns in found.items() if len(pfns)}


def block_of(dram: Dram, frame: int) -> range:
    """Return the frames of the storage block that the storage frame ``frame`` is in."""
    region = next(r for r in dram.regions if r.storage <= frame * PAGE < r.storage_end)
    pages = region.block_size // PAGE
    start = frame - (frame - region.storage // PAGE) % pages
    return range(start, start + pages)


def _storage(
    dram: Dram, describe: Description, paused: PausedGuest, tagged: npt.NDArray[np.bool_]
) -> tuple[Frames, Frames]:
    """Return tagged pages whose block is in use, and those for which that is not known."""
    pages = paused.pages
    free, unowned = pages.buddy(), pages.unowned()
    reserved = pages.flag(paused.bits["reserved"])
    if "holds" in paused.bits:
        free, unowned = reserved & ~free, np.zeros_like(free)
    elif describe is not Description.UNAWARE:
        # A kernel that does not reuse storage reserves it because the device tree says so.
        free |= reserved
    state = np.zeros(len(free), np.int8)  # 0: not in use, 1: not known, 2: in use
    for pfn in dram.storage_frames():
        at = pfn - pages.first
        if not free[at]:
            state[at] = 2 if not unowned[at] else 0 if pages.listed(pfn) else 1
    worst = state.copy()
    for region in dram.regions:
        rows = slice(region.storage // PAGE - pages.first, region.storage_end // PAGE - pages.first)
        blocks = state[rows].reshape(-1, region.block_size // PAGE)
        worst[rows] = np.repeat(blocks.max(axis=1), region.block_size // PAGE)
    pfns = np.flatnonzero(tagged) + pages.first
    found = worst[dram.storage_addresses(pfns) // PAGE - pages.first]
    return pfns[found == 2], pfns[found == 1]


def _references(
    dram: Dram, paused: PausedGuest, tagged: npt.NDArray[np.bool_]
) -> dict[FindingKind, Frames]:
    """Check the references to storage in a kernel that reuses it (PG_arch_4).

    Each tagged page holds a reference, and no block is reserved to which no page holds one.
    """
    pages = paused.pages
    if "holds" not in paused.bits:
        return {}
    holds = pages.flag(paused.bits["holds"])
    storage = dram.storage_addresses(np.flatnonzero(holds) + pages.first) // PAGE - pages.first
    held = np.zeros(len(holds), bool)
    for region in dram.regions:
        size = region.block_size // PAGE
        rows = slice(region.storage // PAGE - pages.first, region.storage_end // PAGE - pages.first)
        inside = storage[(storage >= rows.start) & (storage < rows.stop)] - rows.start
        blocks = np.zeros((rows.stop - rows.start) // size, bool)
        blocks[inside // size] = True
        held[rows] = np.repeat(blocks, size)
    own = np.array(sorted(dram.storage_frames())) - pages.first
    leaked = pages.flag(paused.bits["reserved"])[own] & ~held[own]
    return {
        FindingKind.HOLDS_NOTHING: np.flatnonzero(tagged & ~holds) + pages.first,
        FindingKind.LEAKED: own[leaked] + pages.first,
    }


def _compare(paused: PausedGuest, tagged: npt.NDArray[np.bool_]) -> dict[FindingKind, Frames]:
    """Compare the tags in DRAM with those that a program has set."""
    expected, tags = paused.expected, paused.tags
    if expected is None or tags is None:
        return {}
    wrong = (tags != expected.storage).any(axis=1)
    return {
        FindingKind.NOT_TAGGED: expected.pfns[~tagged[expected.pfns - paused.pages.first]],
        FindingKind.TAGS_WRONG: expected.pfns[wrong],
    }
