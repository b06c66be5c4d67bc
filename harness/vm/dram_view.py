# SPDX-License-Identifier: MIT
"""A guest's physical memory as the host sees it, while the guest runs.

Only where the tags live in DRAM: elsewhere they cannot be seen from outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.core.errors import UsageError
from harness.vm.geometry import DRAM, PAGE, PAGE_STORAGE, storage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from harness.vm.dram import Ram
    from harness.vm.geometry import TagRegion


def unpack(storage: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Tags, one a byte, out of storage bytes: the low nibble is the lower granule's."""
    return np.stack((storage & 15, storage >> 4), axis=-1).reshape(*storage.shape[:-1], -1)


class Dram:
    """Physical memory of one guest. Addresses are guest-physical, frames are PFNs."""

    def __init__(self, ram: Ram, regions: Sequence[TagRegion]) -> None:
        self._ram = ram
        self.regions = tuple(regions)

    @property
    def frames(self) -> range:
        """All page frame numbers of DRAM."""
        return range(DRAM // PAGE, (DRAM + self._ram.size) // PAGE)

    def read(self, address: int, length: int) -> bytes:
        """``length`` bytes from ``address`` on. UsageError outside DRAM."""
        at = self._offset(address, length)
        return self._ram.view[at : at + length]

    def write(self, address: int, data: bytes) -> None:
        """Writes behind the guest's back: what a stray DMA would do."""
        at = self._offset(address, len(data))
        self._ram.view[at : at + len(data)] = data

    def _offset(self, address: int, length: int) -> int:
        at = address - DRAM
        if at < 0 or length < 0 or at + length > self._ram.size:
            raise UsageError(f"{address:#x} and {length} bytes on are not in DRAM")
        return at

    def storage_address(self, pfn: int) -> int:
        """The physical address of the 128 bytes of tag storage of a page frame."""
        return storage_of(self.regions, pfn * PAGE)

    def storage(self, pfn: int) -> bytes:
        """The 128 bytes of tag storage of a page frame."""
        return self.read(self.storage_address(pfn), PAGE_STORAGE)

    def tags(self, pfn: int) -> bytes:
        """The 256 tags of a page frame, one a byte, each 0 to 15."""
        return unpack(np.frombuffer(self.storage(pfn), np.uint8)).tobytes()

    def tags_of(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The storage bytes of many page frames: shape (n, 128)."""
        wanted = (self.storage_addresses(pfns) - DRAM) // PAGE_STORAGE
        rows = np.frombuffer(self._ram.view, np.uint8).reshape(-1, PAGE_STORAGE)
        found: npt.NDArray[np.uint8] = rows[wanted]  # a copy: a view would keep the mapping open
        return found

    def storage_addresses(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The physical addresses of the tag storage of many page frames."""
        found = np.full(pfns.shape, -1, np.int64)
        for region in self.regions:
            inside = (pfns * PAGE >= region.base) & (pfns * PAGE < region.end)
            found[inside] = region.storage_of(pfns[inside] * PAGE)
        if (found < 0).any():
            raise UsageError(f"{int(pfns[found < 0][0]):#x} is not the frame of a tagged page")
        return found

    def storage_frames(self) -> frozenset[int]:
        """The page frames that are tag storage."""
        return frozenset(
            pfn for r in self.regions for pfn in range(r.storage // PAGE, r.storage_end // PAGE)
        )
