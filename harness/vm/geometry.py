# SPDX-License-Identifier: MIT
"""Where the tag of a physical address lies in DRAM, and which layouts are impossible.

A granule is 16 bytes and has a tag of 4 bits, so that 32 bytes of data need one byte
of tag storage: the low nibble is the lower granule's. Within a region, storage is
linear in the data's address (QEMU, target/arm/tcg/mte_helper.c allocation_tag_mem).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.core.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

Addresses = TypeVar("Addresses", int, "npt.NDArray[np.int64]")

MIB = 1024 * 1024
PAGE = 4096
GRANULE = 16
RATIO = 2 * GRANULE  # bytes of data for one byte of tags
TAGS = PAGE // GRANULE  # tags of a page
PAGE_STORAGE = PAGE // RATIO  # bytes of storage for a page
# QEMU's virt machine has its DRAM here (hw/arm/virt.c, base_memmap VIRT_MEM).
DRAM_BASE = 0x40000000
# QEMU loads Image at the start and the device tree at 128 MiB (hw/arm/boot.c,
# arm_setup_direct_kernel_boot): storage there would be written before the kernel runs.
BOOT = 192 * MIB


@dataclass(frozen=True)
class TagRegion:
    """DRAM from ``base`` on, ``size`` bytes, whose tags lie from ``storage`` on.

    Addresses are physical, sizes in bytes; the storage has ``size / 32``. ``block_size``
    is the unit of storage for contiguous data that the device tree claims.
    """

    base: int
    size: int
    storage: int
    block_size: int = PAGE

    @property
    def end(self) -> int:
        """The first address after the tagged memory."""
        return self.base + self.size

    @property
    def storage_size(self) -> int:
        """Bytes of tag storage."""
        return self.size // RATIO

    @property
    def storage_end(self) -> int:
        """The first address after the tag storage."""
        return self.storage + self.storage_size

    def storage_of(self, address: Addresses) -> Addresses:
        """Return where the tag of an address of this region lies; an array for an array."""
        return self.storage + (address - self.base) // RATIO


def storage_of(regions: Sequence[TagRegion], address: int) -> int:
    """Return the physical address of the byte that holds the tag of ``address``.

    Raise MachineError for an address outside the tagged memory.
    """
    for region in regions:
        if region.base <= address < region.end:
            return region.storage_of(address)
    raise MachineError(f"{address:#x} is not in tagged memory")


def check_geometry(regions: Sequence[TagRegion], memory: int) -> None:
    """Raise MachineError unless ``regions`` fit ``memory`` bytes of DRAM and cover them."""
    end = DRAM_BASE + memory
    expected = DRAM_BASE
    for number, region in enumerate(regions):
        name = f"tag region {number}"
        block = region.block_size
        if block < PAGE or block & (block - 1):
            raise MachineError(
                f"{name}: block-size {block} is not a power-of-two multiple of {PAGE} bytes"
            )
        if region.base != expected:
            raise MachineError(
                f"{name} starts at {region.base:#x}, not at {expected:#x}: regions have to "
                "cover DRAM in order, without gap or overlap"
            )
        expected = region.end
        if region.size <= 0 or region.size % (RATIO * block):
            raise MachineError(
                f"{name}: {region.size} bytes of DRAM do not divide into storage blocks: "
                f"{RATIO} x {block} bytes is the unit"
            )
        if region.storage % block:
            raise MachineError(f"{name}: storage at {region.storage:#x} is not block-aligned")
        if region.storage < DRAM_BASE + BOOT or region.storage_end > end:
            raise MachineError(
                f"{name}: storage {region.storage:#x}-{region.storage_end:#x} is not within "
                f"DRAM above QEMU's boot data, {DRAM_BASE + BOOT:#x}-{end:#x}"
            )
        for other in regions[:number]:
            if region.storage < other.storage_end and other.storage < region.storage_end:
                raise MachineError(f"{name}: its storage overlaps that of another region")
    if expected != end:
        raise MachineError(
            f"the tag regions end at {expected:#x}, DRAM at {end:#x}: all of it has tags"
        )
