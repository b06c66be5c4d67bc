# SPDX-License-Identifier: MIT
"""The facts in a kernel Image: version, banner and .config, read without booting it.

Header: Documentation/arch/arm64/booting.rst, section 4 ("Call the kernel image").
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.cross import PAGE_SIZES
from harness.core.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = struct.Struct("<2I6Q2I")  # code0 code1 text_offset image_size flags res2-4 magic res5
MAGIC = 0x644D5241  # "ARM\x64"

CURE = "give arch/arm64/boot/Image of an arm64 kernel, packed or not"

# Other formats that are easily taken for an arm64 Image: offset, bytes there, name.
_OTHERS = (
    (0x202, b"HdrS", "an x86 bzImage"),  # Documentation/arch/x86/boot.rst
    (0x24, b"\x18\x28\x6f\x01", "a 32-bit Arm zImage"),  # arch/arm/boot/compressed/head.S
    (0x38, b"RSC\x05", "a RISC-V Image"),  # Documentation/arch/riscv/boot-image-header.rst
    (0, b"\x27\x05\x19\x56", "a U-Boot uImage"),
    (0, b"\x7fELF", "an ELF file (vmlinux)"),
)
_BANNER = re.compile(rb"Linux version (\S+) \([^\n\0]+")
_IKCONFIG = b"IKCFG_ST"  # kernel/configs.c


@dataclass(frozen=True)
class ImageFacts:
    """The facts in an Image. ``config`` is the .config that CONFIG_IKCONFIG adds, or None.

    ``release`` is the version that uname -r prints. ``banner`` is linux_banner (init/version.c),
    the same bytes in the vmlinux of the same build.
    """

    release: str
    banner: bytes
    config: str | None


def page_size(path: Path) -> int:
    """Return the size of the kernel's pages in bytes.

    Raise ImageError if the Image's header does not say it.
    """
    with path.open("rb") as stream:
        head = stream.read(HEADER.size)
    if len(head) == HEADER.size:
        header: tuple[int, ...] = HEADER.unpack(head)
        size = header[4] >> 1 & 3  # 0: not said; booting.rst
        if header[8] == MAGIC and size:
            return PAGE_SIZES[size - 1]
    raise ImageError(f"{path} does not say the size of its pages", CURE)


def inspect_image(data: bytes, path: Path) -> ImageFacts:
    """Return the facts in the Image ``data`` of the file ``path``.

    Raise ImageError if it is no little-endian arm64 Image.
    """
    for offset, magic, what in _OTHERS:
        if data[offset : offset + len(magic)] == magic:
            raise ImageError(f"{path} is {what}, not an arm64 Image", CURE)
    if len(data) < HEADER.size:
        raise ImageError(f"{path} has only {len(data)} bytes", CURE)
    header: tuple[int, ...] = HEADER.unpack_from(data)
    flags, magic_number = header[4], header[8]
    if magic_number != MAGIC:
        raise ImageError(f"{path} has no arm64 Image header", CURE)
    if flags & 1:
        raise ImageError(f"{path} is a big-endian kernel", "build it with CONFIG_CPU_BIG_ENDIAN=n")
    banner = _BANNER.search(data)
    if banner is None:
        raise ImageError(f"{path} is truncated or no Linux: no version string", CURE)
    return ImageFacts(
        release=banner[1].decode(errors="replace"),
        banner=banner[0],
        config=_embedded_config(data),
    )


def _embedded_config(data: bytes) -> str | None:
    start = data.find(_IKCONFIG)
    if start < 0:
        return None
    try:
        text = zlib.decompressobj(wbits=31).decompress(data[start + len(_IKCONFIG) :])
    except zlib.error:
        return None
    return text.decode(errors="replace")
