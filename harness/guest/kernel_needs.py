# SPDX-License-Identifier: MIT
"""What the harness itself needs of a kernel, whatever the probes need: a guest, SSH, counters.

A kernel that lacks one of these does not come up, or answers no command: that would look like
a kernel that fails to boot, and a bisection would call it bad.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.errors import ImageError, UsageError
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from harness.kernel import Kernel
    from harness.vm.spec import MachineSpec

# Symbols, of which a kernel needs one, and what for.
NEEDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("CONFIG_ARM64_MTE",), "memory tagging"),
    (("CONFIG_VIRTIO_PCI",), "the disks and the network"),
    (("CONFIG_VIRTIO_BLK",), "the disk with the root file system"),
    (("CONFIG_EXT4_FS",), "the root file system"),
    (("CONFIG_DEVTMPFS",), "/dev"),
    (("CONFIG_PROC_FS",), "counters and taint"),
    (("CONFIG_PROC_SYSCTL", "CONFIG_SYSCTL"), "/proc/sys: taint, caches"),
    (("CONFIG_SYSFS",), "/sys: devices"),
    (("CONFIG_TMPFS",), "the only file systems that can be written"),
    (("CONFIG_VIRTIO_NET",), "SSH"),
    (("CONFIG_INET",), "SSH"),
    (("CONFIG_UNIX98_PTYS",), "a shell on a terminal"),
    (("CONFIG_SERIAL_AMBA_PL011_CONSOLE",), "the console"),
    (("CONFIG_PRINTK",), "splats"),
    (("CONFIG_BINFMT_ELF",), "programs"),
    (("CONFIG_BINFMT_SCRIPT",), "the guest's init"),
)
# A need as well, unless an initramfs mounts it (guest/initramfs.c): guest/init does not.
MOUNTED = (("CONFIG_DEVTMPFS_MOUNT",), "/dev")


def require_needs(kernel: Kernel) -> None:
    """Raise ImageError, which names the symbol, for a kernel that cannot run a guest.

    Nothing is known of a kernel without a .config. A module serves only with an initramfs.
    """
    if kernel.config is None:
        return
    for symbols, purpose in NEEDS if kernel.initramfs else (*NEEDS, MOUNTED):
        states = [kernel.state(symbol) for symbol in symbols]
        if "y" in states or ("m" in states and kernel.initramfs):
            continue
        if "m" in states:
            symbol = symbols[states.index("m")]
            raise ImageError(
                f"kernel {kernel.name} has {symbol}=m ({purpose}), and its modules are not here",
                f"set it to y; or put them at lib/modules/{kernel.release}, with the kernel at "
                f"boot/vmlinuz-{kernel.release}; debian:VERSION brings those of Debian's kernels",
            )
        raise ImageError(
            f"kernel {kernel.name} has no {' or '.join(symbols)} ({purpose})",
            "set it to y and build it again",
        )


def require_page_size(kernel: Kernel, spec: MachineSpec) -> None:
    """Raise UsageError for a kernel whose pages the host cannot read on the machine ``spec``.

    Where the tags are in DRAM, the audit reads page tables and struct pages (vmcore.py), and
    knows pages of 4 KiB. Raise ImageError for an Image that does not say its page size.
    """
    if spec.tags and kernel.page_size != PAGE:
        raise UsageError(
            f"kernel {kernel.name} has pages of {kernel.page_size >> 10} KiB; with machine "
            f"{spec.name} only kernels with pages of {PAGE >> 10} KiB can be validated",
            "use the machine emulator",
        )
