# SPDX-License-Identifier: MIT
"""What a kernel Image says of itself, read without booting it.

Header: Documentation/arch/arm64/booting.rst, section 4 ("Call the kernel image").
"""

from __future__ import annotations

import mmap
import re
import shutil
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import ImageError
from harness.kernel.artifact import (
    CONFIG,
    IMAGE,
    SYSTEM_MAP,
    VMLINUX,
    file_digest,
    key_of,
    load_kernel,
    write_meta,
)
from harness.kernel.config import parse_config

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.store import Store
    from harness.kernel.artifact import Kernel

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


def adopt_image(path: Path, store: Store) -> Kernel:
    """Return the kernel of a ready Image, copied into ``store`` with what lies beside it.

    Copied, because the user may build again while the tests run. Raises ImageError.
    """
    facts = inspect_image(path)
    found = _companions(path, facts)
    config_text = facts.config
    if config_text is None and CONFIG in found:
        config_text = found[CONFIG].read_text(encoding="utf-8", errors="replace")
    if config_text is not None and parse_config(config_text).get("ARM64_MTE") != "y":
        raise ImageError(f"{path} is a kernel without MTE", "build it with CONFIG_ARM64_MTE=y")
    if SYSTEM_MAP in found:
        check_size(path, found[SYSTEM_MAP])

    def make(into: Path) -> None:
        shutil.copyfile(path, into / IMAGE)
        for name, source in found.items():
            shutil.copyfile(source, into / name)
        if config_text is not None:
            (into / CONFIG).write_text(config_text, encoding="utf-8")
        write_meta(into, {"release": facts.release, "lacking": []})

    key = key_of({IMAGE: file_digest(path)} | {name: _fingerprint(found[name]) for name in found})
    directory = store.obtain(key, make)
    beside = ", ".join(sorted(found)) or "nothing"
    return load_kernel(directory, path.name, f"{path} (beside it: {beside})")


def _companions(path: Path, facts: ImageFacts) -> dict[str, Path]:
    """Return the files of the same build: beside the Image, or where kbuild leaves them.

    A vmlinux without the Image's banner is of another build, and would decode a splat wrongly.
    """
    places = [path.parent]
    if path.parts[-4:-1] == ("arch", "arm64", "boot"):
        places.append(path.parents[3])
    names = {VMLINUX: (VMLINUX,), SYSTEM_MAP: (SYSTEM_MAP,), CONFIG: (".config", CONFIG)}
    found = {}
    for kind, spellings in names.items():
        files = [place / name for place in places for name in spellings]
        first = next((file for file in files if file.is_file()), None)
        if first and (kind != VMLINUX or _contains(first, facts.banner)):
            found[kind] = first
    return found


def _contains(path: Path, needle: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(needle) >= 0


def _fingerprint(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


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
            f"{path} is truncated, or its System.map is of another build: {size} of {whole} bytes",
            "build or copy both again",
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
