# SPDX-License-Identifier: MIT
"""What a kernel Image says of itself, read without booting it.

Header: Documentation/arch/arm64/booting.rst, section 4 ("Call the kernel image").
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import ImageError
from harness.kernel.config import parse_config

if TYPE_CHECKING:
    from pathlib import Path

HEADER = struct.Struct("<2I6Q2I")  # code0 code1 text_offset image_size flags res2-4 magic res5
MAGIC = 0x644D5241  # "ARM\x64"
PAGE_SIZES = {1: 4096, 2: 16384, 3: 65536}  # flags bits 1-2; 0 is "unspecified"

CURE = "give arch/arm64/boot/Image of an arm64 kernel"

# (offset, bytes, what it is): what people take for an arm64 Image.
_OTHERS = (
    (0x202, b"HdrS", "an x86 bzImage"),  # Documentation/arch/x86/boot.rst
    (0x24, b"\x18\x28\x6f\x01", "a 32-bit Arm zImage"),  # arch/arm/boot/compressed/head.S
    (0x38, b"RSC\x05", "a RISC-V Image"),  # Documentation/arch/riscv/boot-image-header.rst
    (0x04, b"zimg", "a compressed EFI image (vmlinuz.efi)"),  # drivers/firmware/efi/libstub
    (0, b"\x1f\x8b", "gzip-compressed (Image.gz)"),
    (0, b"\x28\xb5\x2f\xfd", "zstd-compressed (Image.zst)"),
    (0, b"\xfd7zXZ\x00", "xz-compressed (Image.xz)"),
    (0, b"\x27\x05\x19\x56", "a U-Boot uImage"),
    (0, b"\x7fELF", "an ELF file (vmlinux)"),
)
_BANNER = re.compile(rb"Linux version (\S+) \([^\n\0]+")
_IKCONFIG = b"IKCFG_ST"  # kernel/configs.c


@dataclass(frozen=True)
class ImageFacts:
    """``page_size`` in bytes, None if unspecified; ``config`` only with CONFIG_IKCONFIG.

    ``banner`` is linux_banner (init/version.c), the same bytes in the vmlinux of the same build.
    """

    release: str
    banner: bytes
    page_size: int | None
    config: str | None

    @property
    def mte(self) -> bool | None:
        """Whether the kernel has MTE; None if the Image does not say."""
        if self.config is None:
            return None
        return parse_config(self.config).get("ARM64_MTE") == "y"


def inspect_image(path: Path) -> ImageFacts:
    """Return what the Image says. Raises ImageError if it is none, or for another architecture."""
    data = path.read_bytes()
    for offset, magic, what in _OTHERS:
        if data[offset : offset + len(magic)] == magic:
            raise ImageError(f"{path} is {what}, not an arm64 Image", CURE)
    if len(data) < HEADER.size:
        raise ImageError(f"{path} has only {len(data)} bytes", CURE)
    _, _, _, _, flags, _, _, _, magic_number, _ = _header(data)
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
        page_size=PAGE_SIZES.get((flags >> 1) & 3),
        config=_embedded_config(data),
    )


def check_size(path: Path, system_map: Path) -> None:
    """Hold the Image's size to its System.map. Raises ImageError if it is shorter.

    objcopy writes the bytes from _text to _edata (arch/arm64/kernel/vmlinux.lds.S).
    """
    text = system_map.read_text(encoding="utf-8", errors="replace")
    symbols = {
        name: int(address, 16)
        for address, name in re.findall(r"^([0-9a-f]+) \w (_text|_edata)$", text, re.MULTILINE)
    }
    if symbols.keys() != {"_text", "_edata"}:
        raise ImageError(f"{system_map} does not describe a kernel", "remove it")
    size, whole = path.stat().st_size, symbols["_edata"] - symbols["_text"]
    if size < whole:
        raise ImageError(
            f"{path} is truncated: {size} of {whole} bytes by its System.map",
            "build or copy it again",
        )


def _header(data: bytes) -> tuple[int, ...]:
    return HEADER.unpack_from(data)


def _embedded_config(data: bytes) -> str | None:
    start = data.find(_IKCONFIG)
    if start < 0:
        return None
    try:
        text = zlib.decompressobj(wbits=31).decompress(data[start + len(_IKCONFIG) :])
    except zlib.error:
        return None
    return text.decode(errors="replace")
