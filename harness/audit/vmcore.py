# SPDX-License-Identifier: MIT
"""struct page of every frame, read out of a guest's DRAM.

/proc/kpageflags would be the kernel's own answer, but since 6.12 it gives a folio's
head flags for each of its pages (fs/proc/page.c, stable_page_flags), and PG_mte_tagged
belongs to the page. So the array itself is read: where it is, and where its fields are,
the kernel says in vmcoreinfo, which exists for this use (kernel/vmcore_info.c;
Documentation/admin-guide/kdump/vmcoreinfo.rst).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import AuditError
from harness.machine.geometry import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from harness.audit.dram import Dram

FIELDS = {"flags": "<u8", "compound_head": "<u8", "mapping": "<u8", "private": "<u8",
          "_mapcount": "<u4", "_refcount": "<i4"}  # fmt: skip
CURE = "build the kernel with CONFIG_CRASH_DUMP, as recipe stock does"
# Descriptors, Arm ARM (DDI 0487) D8.3.
_VALID, _TABLE, _ADDRESS = 1, 2, 0x0000_FFFF_FFFF_F000
_LEVEL_BITS = 9


@dataclass(frozen=True)
class Vmcoreinfo:
    """The lines of a guest's vmcoreinfo, by their left sides."""

    lines: dict[str, str]

    @classmethod
    def read(cls, dram: Dram, place: str) -> Vmcoreinfo:
        """From DRAM; ``place`` is the text of /sys/kernel/vmcoreinfo: address and size."""
        match = re.fullmatch(r"(0x[0-9a-f]+) ([0-9a-f]+)\s*", place)
        if match is None:
            raise AuditError("the kernel has no /sys/kernel/vmcoreinfo", CURE)
        note = dram.read(int(match[1], 16), int(match[2], 16))
        name_size, size, _ = struct.unpack_from("<III", note)  # Elf64_Nhdr, elf(5)
        start = 12 + (name_size + 3) // 4 * 4
        text = note[start : start + size].decode("ascii", "replace")
        return cls(dict(line.split("=", 1) for line in text.splitlines() if "=" in line))

    def number(self, key: str) -> int:
        """A number, whatever its base: ``SYMBOL(…)`` and ``NUMBER(0x…)`` are hexadecimal."""
        try:
            text = self.lines[key]
        except KeyError:
            raise AuditError(f"vmcoreinfo has no {key}", CURE) from None
        return int(text, 16 if key.startswith("SYMBOL") else 0)


class Translation:
    """Kernel virtual addresses, by the guest's own page tables in DRAM."""

    def __init__(self, dram: Dram, info: Vmcoreinfo) -> None:
        self._dram = dram
        bits = info.number("NUMBER(VA_BITS)")
        if info.number("PAGESIZE") != PAGE or (bits - 12) % _LEVEL_BITS:
            raise AuditError(f"page tables of {bits} bits are not understood", "use 4 KiB pages")
        self._levels = (bits - 12) // _LEVEL_BITS
        self._table = info.number("SYMBOL(swapper_pg_dir)") - info.number("NUMBER(kimage_voffset)")

    def span(self, address: int) -> tuple[int, int]:
        """Physical address, and how many bytes on the mapping goes. AuditError if unmapped."""
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
        """``length`` bytes of kernel memory, in pieces."""
        while length > 0:
            physical, room = self.span(address)
            piece = min(room, length)
            yield self._dram.read(physical, piece)
            address += piece
            length -= piece


class Pages:
    """struct page of the frames ``first`` to ``first + n - 1``: arrays, one entry a frame."""

    def __init__(self, dram: Dram, info: Vmcoreinfo) -> None:
        size = info.number("SIZE(page)")
        frames = dram.frames
        self.first = frames.start
        start = info.number("SYMBOL(vmemmap)") + self.first * size
        raw = b"".join(Translation(dram, info).read(start, len(frames) * size))
        self._array = np.frombuffer(
            raw,
            np.dtype(
                {
                    "names": list(FIELDS),
                    "formats": list(FIELDS.values()),
                    "offsets": [info.number(f"OFFSET(page.{name})") for name in FIELDS],
                    "itemsize": size,
                }
            ),
        )
        self._buddy = info.number("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)") & 0xFFFFFFFF
        self._head = info.number("NUMBER(PG_head_mask)")

    @property
    def flags(self) -> npt.NDArray[np.uint64]:
        """page->flags, as they are for each page."""
        flags: npt.NDArray[np.uint64] = self._array["flags"]
        return flags

    @property
    def tail(self) -> npt.NDArray[np.bool_]:
        """Whether each page is a tail page of a compound one (bit 0 of compound_head)."""
        tail: npt.NDArray[np.bool_] = self._array["compound_head"] & 1 == 1
        return tail

    def describe(self, pfn: int) -> str:
        """What a frame is used for, as far as its struct page tells."""
        page = self._array[pfn - self.first]
        if page["compound_head"] & 1:
            kind = "tail of a compound page"
        elif page["_mapcount"] >> 24 & 0x80 and page["_mapcount"] != 0xFFFFFFFF:
            kind = f"page type {int(page['_mapcount']) >> 24:#x}"  # page-flags.h, PGTY_
        elif page["mapping"] == 0:
            kind = "of the kernel's"
        else:
            kind = "anonymous" if page["mapping"] & 1 else "of a file"  # PAGE_MAPPING_ANON
        return (
            f"its storage is in frame {pfn:#x}, {kind}, "
            f"refcount {int(page['_refcount'])}, flags {int(page['flags']):#x}"
        )

    def free(self) -> npt.NDArray[np.bool_]:
        """Whether each page is free: in the buddy allocator, or in a CPU's list.

        A free block has its mark and its order on its first page (mm/page_alloc.c,
        set_buddy_order); a page of a CPU's list has no reference and no type.
        """
        mapcount = self._array["_mapcount"]
        free: npt.NDArray[np.bool_] = (
            (self._array["_refcount"] == 0)
            & (mapcount == 0xFFFFFFFF)
            & ~self.tail
            & (self.flags & self._head == 0)
        )
        heads = np.flatnonzero(mapcount == self._buddy)
        orders = self._array["private"][heads].astype(np.int64)
        for order in np.unique(orders):
            starts = heads[orders == order]
            blocks = starts[:, None] + np.arange(1 << int(order))
            free[blocks[blocks < len(free)]] = True
        return free
