# SPDX-License-Identifier: MIT
"""The struct page of every frame, read from a guest's DRAM.

/proc/kpageflags does not serve: since 6.12 it gives the flags of a folio's head for each
of its pages (fs/proc/page.c, stable_page_flags), while PG_mte_tagged is a flag of the
single page. So the vmemmap is read. Its address and the offsets of its fields are in
vmcoreinfo, which is made for readers of a kernel's memory (kernel/vmcore_info.c;
Documentation/admin-guide/kdump/vmcoreinfo.rst).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.core.errors import AuditError, UsageError
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from harness.vm.dram import Dram

# Fields of struct page: format, the names in vmcoreinfo, and bytes on from there. compound_head
# became compound_info in 7.3; bit 0 still marks a tail (include/linux/mm_types.h).
FIELDS = {
    "flags": ("<u8", "flags", 0),
    "compound_head": ("<u8", "compound_head compound_info", 0),
    "lru_next": ("<u8", "lru", 0),
    "lru_prev": ("<u8", "lru", 8),
    "mapping": ("<u8", "mapping", 0),
    "private": ("<u8", "private", 0),
    "_mapcount": ("<u4", "_mapcount", 0),
    "_refcount": ("<i4", "_refcount", 0),
}
CURE = "build the kernel with CONFIG_CRASH_DUMP, as recipe stock does"
DAMAGED = "the guest's own memory is damaged: look at it with guest.dram"
# Descriptors, Arm ARM (DDI 0487) D8.3.
_VALID, _TABLE, _ADDRESS = 1, 2, 0x0000_FFFF_FFFF_F000
_LEVEL_BITS = 9


@dataclass(frozen=True)
class Vmcoreinfo:
    """The ``KEY=VALUE`` lines of a guest's vmcoreinfo."""

    lines: dict[str, str]

    @classmethod
    def read(cls, dram: Dram, place: str) -> Vmcoreinfo:
        """Read it from DRAM. ``place`` is the text of /sys/kernel/vmcoreinfo: address and size.

        Raise AuditError if there is none, or if it is damaged.
        """
        match = re.fullmatch(r"(0x[0-9a-f]+) ([0-9a-f]+)\s*", place)
        if match is None:
            raise AuditError("the kernel has no /sys/kernel/vmcoreinfo", CURE)
        try:
            note = dram.read(int(match[1], 16), int(match[2], 16))
            name_size, size, _ = struct.unpack_from("<III", note)  # Elf64_Nhdr, elf(5)
        except (UsageError, struct.error):
            raise AuditError(f"vmcoreinfo is not at {place}", DAMAGED) from None
        start = 12 + (name_size + 3) // 4 * 4
        text = note[start : start + size].decode("ascii", "replace")
        return cls(dict(line.split("=", 1) for line in text.splitlines() if "=" in line))

    def page_offset(self, *names: str) -> int:
        """Return the offset in bytes of a field of struct page, under the first name that is there.

        Raise AuditError if none is.
        """
        keys = [f"OFFSET(page.{name})" for name in names]
        return self.number(next((key for key in keys if key in self.lines), keys[0]))

    def number(self, key: str) -> int:
        """Return a number: ``SYMBOL(…)`` is hexadecimal, others say so with 0x.

        Raise AuditError if it is missing or damaged.
        """
        try:
            return int(self.lines[key], 16 if key.startswith("SYMBOL") else 0)
        except KeyError:
            raise AuditError(f"vmcoreinfo has no {key}", CURE) from None
        except ValueError:
            raise AuditError(f"vmcoreinfo: {key}={self.lines[key]}", DAMAGED) from None


class Translation:
    """Kernel virtual addresses, translated by the guest's own page tables in DRAM."""

    def __init__(self, dram: Dram, info: Vmcoreinfo) -> None:
        self._dram = dram
        bits = info.number("NUMBER(VA_BITS)")
        if info.number("PAGESIZE") != PAGE or (bits - 12) % _LEVEL_BITS:
            raise AuditError(
                f"page tables of {bits} bits are not understood",
                "set CONFIG_ARM64_4K_PAGES, and CONFIG_ARM64_VA_BITS_48 or 39",
            )
        self._levels = (bits - 12) // _LEVEL_BITS
        self._table = info.number("SYMBOL(swapper_pg_dir)") - info.number("NUMBER(kimage_voffset)")

    def span(self, address: int) -> tuple[int, int]:
        """Return the physical address, and the bytes to the end of its mapping.

        Raise AuditError if ``address`` is unmapped.
        """
        table = self._table
        for level in reversed(range(self._levels)):
            shift = 12 + _LEVEL_BITS * level
            index = address >> shift & (1 << _LEVEL_BITS) - 1
            (entry,) = struct.unpack("<Q", self._dram.read(table + 8 * index, 8))
            if not entry & _VALID:
                break
            table = entry & _ADDRESS
            if level == 0 or not entry & _TABLE:
                offset = address & (1 << shift) - 1
                return (table & ~((1 << shift) - 1)) + offset, (1 << shift) - offset
        raise AuditError(f"the kernel does not map {address:#x}")

    def read(self, address: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` bytes of kernel memory, in pieces that are contiguous in DRAM."""
        while length > 0:
            physical, room = self.span(address)
            piece = min(room, length)
            yield self._dram.read(physical, piece)
            address += piece
            length -= piece


@dataclass(frozen=True)
class Marks:
    """How a kernel marks pages.

    ``buddy``: _mapcount of the first page of a free block; ``head``: the mask of PG_head in
    page->flags; ``orders``: the number of orders; ``list_offset``: the offset of page->lru.
    """

    buddy: int
    head: int
    orders: int
    list_offset: int


def page_type(offsets: list[int], size: int) -> np.dtype[np.void]:
    """Return struct page, ``size`` bytes long, with the fields of ``FIELDS`` at ``offsets``."""
    formats = [form for form, _, _ in FIELDS.values()]
    return np.dtype(
        {"names": list(FIELDS), "formats": formats, "offsets": offsets, "itemsize": size}
    )


class Pages:
    """struct page of every frame of DRAM: arrays, one entry a frame, from frame ``first`` on.

    ``array`` has the fields of ``FIELDS``; ``base`` is the address of its first struct page.
    """

    def __init__(self, array: npt.NDArray[np.void], first: int, base: int, marks: Marks) -> None:
        self.array = array
        self.first = first
        self._base = base
        self._marks = marks

    @classmethod
    def read(cls, dram: Dram, info: Vmcoreinfo) -> Pages:
        """Return a copy of tens of MiB from DRAM. The guest has to be paused."""
        size, frames = info.number("SIZE(page)"), dram.frames
        base = info.number("SYMBOL(vmemmap)") + frames.start * size
        offsets = [info.page_offset(*names.split()) + on for _, names, on in FIELDS.values()]
        raw = b"".join(Translation(dram, info).read(base, len(frames) * size))
        marks = Marks(
            buddy=info.number("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)") & 0xFFFFFFFF,
            head=info.number("NUMBER(PG_head_mask)"),
            orders=info.number("LENGTH(zone.free_area)"),
            list_offset=info.number("OFFSET(page.lru)"),
        )
        return cls(np.frombuffer(raw, page_type(offsets, size)), frames.start, base, marks)

    def flag(self, bit: int) -> npt.NDArray[np.bool_]:
        """Return whether each page has that bit of page->flags."""
        found: npt.NDArray[np.bool_] = self.array["flags"] >> np.uint64(bit) & np.uint64(1) == 1
        return found

    def buddy(self) -> npt.NDArray[np.bool_]:
        """Return whether each page is in a free block of the buddy allocator.

        The first page of a block has the mark and the order (mm/page_alloc.c,
        set_buddy_order). Raise AuditError where an order is impossible.
        """
        free = np.zeros(len(self.array), bool)
        heads = np.flatnonzero(self.array["_mapcount"] == self._marks.buddy)
        orders = self.array["private"][heads]
        if (orders >= self._marks.orders).any():
            raise AuditError(f"a free block has order {int(orders.max())}", DAMAGED)
        for order in np.unique(orders):
            blocks = heads[orders == order][:, None] + np.arange(1 << int(order))
            free[blocks[blocks < len(free)]] = True
        return free

    def unowned(self) -> npt.NDArray[np.bool_]:
        """Return whether each page has no reference, no page type, and is not compound.

        Such a page is free in a per-CPU list, or the tail of an allocation without
        __GFP_COMP, or frozen for a moment (mm/page_alloc.c). `listed` recognises the first.
        """
        found: npt.NDArray[np.bool_] = (
            (self.array["_refcount"] == 0)
            & (self.array["_mapcount"] == 0xFFFFFFFF)
            & (self.array["compound_head"] & np.uint64(1) == 0)
            & (self.array["flags"] & np.uint64(self._marks.head) == 0)
        )
        return found

    def listed(self, pfn: int) -> bool:
        """Return whether an unowned page is in a list: linked, both ways, to another page."""
        size, offset = self.array.itemsize, self._marks.list_offset
        own = self._base + (pfn - self.first) * size + offset
        row = self.array[pfn - self.first]
        for there, back in (("lru_next", "lru_prev"), ("lru_prev", "lru_next")):
            at = int(row[there]) - offset - self._base
            if at % size == 0 and 0 <= at // size < len(self.array):
                return int(self.array[at // size][back]) == own
        return False

    def describe(self, pfn: int) -> str:
        """Return the use of a frame, as far as its struct page shows it."""
        page = self.array[pfn - self.first]
        if page["compound_head"] & 1:
            kind = "tail of a compound page"
        elif page["_mapcount"] >> 24 & 0x80 and page["_mapcount"] != 0xFFFFFFFF:
            kind = f"page type {int(page['_mapcount']) >> 24:#x}"  # page-flags.h, PGTY_
        elif page["mapping"] == 0:
            kind = "of the kernel's"
        else:
            kind = "anonymous" if page["mapping"] & 1 else "of a file"  # PAGE_MAPPING_ANON
        return f"{kind}, refcount {int(page['_refcount'])}, flags {int(page['flags']):#x}"
