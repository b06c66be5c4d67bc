# SPDX-License-Identifier: MIT
"""A page's tags and data, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.guest.frames import present
from harness.vm.geometry import GRANULE, PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.guest.frames import Frame
    from harness.vm.dram_view import Dram

# include/uapi/linux/kernel-page-flags.h, and those of arm64.
FLAGS = {
    0: "locked", 2: "referenced", 3: "uptodate", 4: "dirty", 5: "lru", 6: "active", 7: "slab",
    8: "writeback", 10: "buddy", 11: "mmap", 12: "anon", 13: "swapcache", 14: "swapbacked",
    15: "compound head", 16: "compound tail", 21: "ksm", 22: "thp", 24: "zero page",
    32: "reserved", 41: "mte_tagged", 42: "mte_lock",
}  # fmt: skip


def describe_page(dram: Dram, frame: Frame, pid: int, pointer: int) -> Iterator[str]:
    """Lines: where the page and its tags are, then tag and data of each granule.

    Granules in a row that look the same are given once. ``pointer`` is what the person
    asked for: its granule is marked, and its own tag compared. UsageError where the page
    is not in memory.
    """
    pfn, flags = present(frame, pid), frame.flags or 0
    data, tags = dram.read(pfn * PAGE, PAGE), dram.tags(pfn)
    names = [name for bit, name in FLAGS.items() if flags >> bit & 1]
    yield f"page {frame.address:#x}: frame {pfn:#x}, tags at {dram.storage_address(pfn):#x}"
    head = " (of the huge page's head)" if flags >> 16 & 1 else ""
    yield f"kpageflags{head}: {', '.join(names)}"
    at, own = pointer % PAGE // GRANULE, pointer >> 56 & 15
    if flags >> 41 & 1 and own != tags[at]:
        yield f"the pointer has tag {own:x}, its granule {tags[at]:x}: a checked access faults"
    yield "offset  tag  data"
    before, skipped = None, False
    for i in range(PAGE // GRANULE):
        granule = data[i * GRANULE : (i + 1) * GRANULE]
        same = (granule, tags[i]) == before and i != at
        if same and not skipped:
            yield "  *"
        skipped = same
        if same:
            continue
        before = (granule, tags[i])
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in granule)
        mark = ">" if i == at else " "
        yield f"{mark} {i * GRANULE:#05x}   {tags[i]:x}   {granule.hex(' ', 4)}  |{text}|"
