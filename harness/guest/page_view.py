# SPDX-License-Identifier: MIT
"""Print a page's tags and data, as `mte-harness tags` shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.guest.frames import present
from harness.guest.kpageflags import COMPOUND_TAIL, MTE_TAGGED, NAMES
from harness.vm.geometry import GRANULE, PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.guest.frames import PageFrame
    from harness.vm.dram import Dram


def describe_page(dram: Dram, frame: PageFrame, pid: int, pointer: int) -> Iterator[str]:
    """Yield lines: frame and tag storage of the page, its flags, tag and data of each granule.

    A run of granules with the same tag and data is printed once. The granule of
    ``pointer`` is marked, and the pointer's own tag compared with the granule's. Raise
    UsageError where the page is not in memory.
    """
    pfn, flags = present(frame, pid), frame.flags or 0
    data, tags = dram.read(pfn * PAGE, PAGE), dram.tags(pfn)
    names = [name for bit, name in NAMES.items() if flags >> bit & 1]
    yield f"page {frame.address:#x}: frame {pfn:#x}, tags at {dram.storage_address(pfn):#x}"
    head = " (of the huge page's head)" if flags >> COMPOUND_TAIL & 1 else ""
    yield f"kpageflags{head}: {', '.join(names)}"
    at, own = pointer % PAGE // GRANULE, pointer >> 56 & 15
    if flags >> MTE_TAGGED & 1 and own != tags[at]:
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
