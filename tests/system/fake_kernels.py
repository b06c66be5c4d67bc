# SPDX-License-Identifier: MIT
"""Images that QEMU starts as a kernel and that are none: they hang, reset, or panic."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WFI_LOOP = struct.pack("<II", 0xD503207F, 0x17FFFFFF)  # wfi; b .-4
PSCI_SYSTEM_RESET = struct.pack(
    "<III",
    0x52800120,  # mov w0, #9
    0x72B08000,  # movk w0, #0x8400, lsl #16 (PSCI 5.13)
    0xD4000002,  # hvc #0
)


def write_image(path: Path, code: bytes) -> Path:
    """Write an arm64 Image (Documentation/arch/arm64/booting.rst) that runs ``code`` at EL1."""
    size = 0x10000
    header = struct.pack(
        "<IIQQQQQQ4sI",
        0x14000010,  # b .+64, over this header
        0,
        0,  # text_offset
        size,
        0xA,  # flags: little endian, 4K pages, anywhere
        0, 0, 0,
        b"ARM\x64",
        0,
    )  # fmt: skip
    banner = b"Linux version 6.12.0-fake (nobody@nowhere)\0"
    path.write_bytes((header + code).ljust(0x1000, b"\0") + banner.ljust(size - 0x1000, b"\0"))
    return path
