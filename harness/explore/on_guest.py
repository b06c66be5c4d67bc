# SPDX-License-Identifier: MIT
"""Operations that treat the whole guest: its settings, CPUs, caches and swap."""

from __future__ import annotations

from harness.explore.operations import Part, operation
from harness.explore.steps import Change, Code, Want


def _global(name: str, path: str, texts: tuple[str, ...], area: str, weight: int) -> None:
    def run(part: Part) -> None:
        part.world.setting(part.actor, path, texts[part.value % len(texts)])

    run.__name__ = name
    run.__doc__ = f"Write {' or '.join(texts)} to {path}."
    operation(area, weight)(run)


_MM = "/sys/kernel/mm/transparent_hugepage/"
_global("compact", "/proc/sys/vm/compact_memory", ("1",), "swap", 1)
_global("drop_caches", "/proc/sys/vm/drop_caches", ("1", "3"), "swap", 1)
_global("thp_enabled", f"{_MM}enabled", ("always", "never", "madvise"), "thp", 1)
_global("thp_shmem", f"{_MM}shmem_enabled", ("always", "never", "advise"), "thp", 1)
_global("folios", f"{_MM}hugepages-64kB/enabled", ("always", "never", "madvise"), "thp", 2)
_global("cpu", "/sys/devices/system/cpu/cpu1/online", ("0", "1"), "process", 1)


@operation("swap", 4)
def swapoff(part: Part) -> None:
    """Bring all back with swapoff(2), and swap again."""
    world, swap = part.world, part.world.ground.swap
    if swap:
        world.call("swapoff", part.actor, swap, how=Want.ANY, changes=Change.SWAP)
        world.call("swapon", part.actor, swap, 0, how=Want.ANY, changes=Change.SWAP)


# busybox swapoff -a wants an /etc/fstab, and its swapon knows no priority: what is switched on
# first is used first, until it is full.
_OFF = "for d in /dev/zram0 /dev/vdb; do busybox swapoff $d; done"
ZRAM = (
    "echo 1 > /sys/block/zram0/reset; echo {size} > /sys/block/zram0/disksize; "
    "busybox mkswap /dev/zram0; busybox swapon /dev/zram0"
)
DISK = "busybox mkswap /dev/vdb; busybox swapon /dev/vdb"
# Devices of a few slots, which are soon used again, and two devices: saved tags are kept by the
# number of the device and of the slot (arch/arm64/mm/mteswap.c).
SHAPES = {
    "small": f"{_OFF}; {ZRAM.format(size='2M')}",
    "two": f"{_OFF}; {ZRAM.format(size='128K')}; {DISK}",
    "other two": f"{_OFF}; {DISK}; {ZRAM.format(size='256M')}; busybox swapoff /dev/vdb",
    "disk": f"{_OFF}; {DISK}",
}


@operation("swap", 2)
def swap_shape(part: Part) -> None:
    """Swap to other devices: a small one, a second one, a disk."""
    if part.world.ground.swap:
        shape = list(SHAPES.values())[part.value % len(SHAPES)]
        words = f"({shape}) > /dev/null 2>&1"
        part.world.step(Code.SHELL, part.actor, words, how=Want.ANY, changes=Change.SWAP)
