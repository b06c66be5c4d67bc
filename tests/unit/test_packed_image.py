# SPDX-License-Identifier: MIT
"""Images as kernels and distributions pack them."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ImageError
from harness.core.progress import Silent
from harness.core.store import Store
from harness.kernel.adopt import adopt_image
from harness.kernel.packed_image import unpack_file
from tests.unit.test_kernel_image import image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pack = Callable[[bytes], bytes]


IMAGE = image()


def tool(*command: str) -> Pack:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def zboot(pack: Pack, tail: bytes = b"") -> Pack:
    """Return what makes an EFI image as zboot-header.S does; ``tail`` follows the payload."""

    def make(data: bytes) -> bytes:
        payload = pack(data)
        head = struct.pack("<4s4sII8s8s", b"MZ\0\0", b"zimg", 512, len(payload), b"", b"gzip")
        return head.ljust(512, b"\0") + payload + tail

    return make


PACKED: dict[str, Pack] = {
    "Image": bytes,
    "Image.gz": gzip.compress,
    "Image.xz": lzma.compress,
    "Image.lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "Image.zst": tool("zstd", "-cq"),
    "Image.lz4": tool("lz4", "-clq"),
    "vmlinuz.efi": zboot(gzip.compress),
    "vmlinuz-zstd.efi": zboot(tool("zstd", "-cq"), b"\x00\x10\x20\x03"),
    "vmlinuz.efi.gz": lambda data: gzip.compress(zboot(gzip.compress)(data)),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_images(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKED[name](IMAGE))
    store = Store(tmp_path / "cache", "builds", Silent())
    kernel = adopt_image(path, store, store)
    assert kernel.image.read_bytes() == IMAGE
    assert kernel.release == "6.12.117"


@pytest.mark.parametrize("name", [name for name in PACKED if name != "Image"])
def test_damaged_images(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = PACKED[name](IMAGE)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ImageError, match="is damaged") as caught:
        unpack_file(path)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        unpack_file(tmp_path)
