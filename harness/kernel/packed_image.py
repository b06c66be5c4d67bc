# SPDX-License-Identifier: MIT
"""What is in a packed file: Image.gz, .xz, .lzma, .zst, .lz4, an EFI zboot image, module.ko.xz.

Formats: arch/arm64/boot/Makefile, and drivers/firmware/efi/libstub/zboot-header.S.
"""

from __future__ import annotations

import lzma
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

from harness.core.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ZBOOT = struct.Struct("<4s4sII")  # MZ, "zimg", offset and size of the payload in bytes
_MOST = 1 << 30  # bytes of an Image; a kernel has some 50 MB
_DEEPEST = 3  # a zboot image may be packed once more


def unpack_file(path: Path) -> bytes:
    """Return the bytes of the Image or module in ``path``, packed or not. Raise ImageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from error
    for _ in range(_DEEPEST):
        unpack = _unpacker(data)
        if unpack is None:
            break
        try:
            data = unpack(data)
        except (zlib.error, lzma.LZMAError, EOFError, ValueError, OSError) as error:
            raise ImageError(f"{path} is damaged: {error}", "build or copy it again") from error
    return data


def _unpacker(data: bytes) -> Callable[[bytes], bytes] | None:
    """Return what unpacks ``data``, None if it is not packed."""
    if data[4:8] == b"zimg":
        return _payload
    return next((unpack for magic, unpack in _MAGICS if data.startswith(magic)), None)


def _payload(data: bytes) -> bytes:
    _, _, offset, size = _ZBOOT.unpack_from(data)
    if offset + size > len(data):
        raise ValueError(f"its payload ends at {offset + size}, the file at {len(data)}")
    return data[offset : offset + size]


def _gunzip(data: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    result = stream.decompress(data, _MOST)
    if not stream.eof:
        raise ValueError("it ends too early")
    return result


def _unxz(data: bytes) -> bytes:
    stream = lzma.LZMADecompressor()
    result = stream.decompress(data, _MOST)
    if not stream.eof:
        raise ValueError("it ends too early")
    return result


def _tool(*command: str) -> Callable[[bytes], bytes]:
    def unpack(data: bytes) -> bytes:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr.decode(errors="replace").strip() or command[0])
        return done.stdout

    return unpack


_MAGICS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", _gunzip),
    (b"\xfd7zXZ\x00", _unxz),
    (b"\x5d\x00\x00", _unxz),  # the older lzma format
    (b"\x28\xb5\x2f\xfd", _tool("zstd", "-dcq")),
    (b"\x02\x21\x4c\x18", _tool("lz4", "-dcq")),  # "lz4 -l", which the kernel's Makefile calls
    (b"\x04\x22\x4d\x18", _tool("lz4", "-dcq")),
)
