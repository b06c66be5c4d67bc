# SPDX-License-Identifier: MIT
"""A ready Image: the facts in it, and the files beside it that are used."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError, ImageError
from harness.core.progress import Silent
from harness.core.store import Store
from harness.kernel.adopt import adopt_image
from harness.kernel.linux_image import inspect_image, page_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.kernel import Kernel

    Adopt = Callable[[Path], Kernel]

BANNER = b"Linux version 6.12.117 (a@b) (gcc) #1 SMP\n"
MTE = "CONFIG_ARM64_MTE=y\n"
NO_MTE = "# CONFIG_ARM64_MTE is not set\n"


def image_header(flags: int, magic: bytes = b"ARM\x64") -> bytes:
    """Return the first 64 bytes of an Image."""
    return struct.pack("<4s I 6Q 4s I", b"MZ\0\0", 0, 0, 0, flags, 0, 0, 0, magic, 0)


def image(config: str | None = MTE, banner: bytes = BANNER) -> bytes:
    header = image_header(2)
    embedded = (
        b""
        if config is None
        else b"IKCFG_ST" + gzip.compress(config.encode(), mtime=0) + b"IKCFG_ED"
    )
    return header + b"\0" * 1024 + banner + b"\0" + embedded + b"\0" * 64


@pytest.fixture
def build(tmp_path: Path) -> Path:
    boot = tmp_path / "linux/arch/arm64/boot"
    boot.mkdir(parents=True)
    return tmp_path / "linux"


@pytest.fixture
def adopt(tmp_path: Path) -> Adopt:
    builds, programs = (
        Store(tmp_path / "cache", kind, Silent()) for kind in ("builds", "programs")
    )
    return lambda path: adopt_image(path, builds, programs)


def test_facts(tmp_path: Path) -> None:
    path = tmp_path / "Image"
    path.write_bytes(image())
    facts = inspect_image(path.read_bytes(), path)
    assert facts.release == "6.12.117"
    assert facts.config == MTE
    assert facts.banner in BANNER


@pytest.mark.parametrize(
    ("offset", "magic", "words"),
    [
        (0x202, b"HdrS", "is an x86 bzImage"),
        (0x24, b"\x18\x28\x6f\x01", "is a 32-bit Arm zImage"),
        (0x38, b"RSC\x05", "is a RISC-V Image"),
        (0, b"\x7fELF", "is an ELF file"),
        (0x38, b"\0\0\0\0", "has no arm64 Image header"),
        (0x18, b"\x03", "is a big-endian kernel"),
    ],
)
def test_another_kind_is_named(tmp_path: Path, offset: int, magic: bytes, words: str) -> None:
    data = bytearray(image())
    data[offset : offset + len(magic)] = magic
    path = tmp_path / "Image"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=words):
        inspect_image(path.read_bytes(), path)


@pytest.mark.parametrize("length", [0, 10, 512])
def test_stump(tmp_path: Path, length: int) -> None:
    path = tmp_path / "Image"
    path.write_bytes(image()[:length])
    with pytest.raises(ImageError, match=r"bytes|truncated"):
        inspect_image(path.read_bytes(), path)


def test_image_alone(tmp_path: Path, adopt: Adopt) -> None:
    path = tmp_path / "Image"
    path.write_bytes(image())
    kernel = adopt(path)
    assert kernel.image.read_bytes() == image()
    assert kernel.release == "6.12.117"
    assert kernel.vmlinux is kernel.selftests is None
    assert kernel.config is not None
    assert kernel.config.read_text() == MTE


def test_kbuild_layout(build: Path, adopt: Adopt) -> None:
    path = build / "arch/arm64/boot/Image"
    path.write_bytes(image(config=None))
    (build / "vmlinux").write_bytes(b"\x7fELF" + BANNER)
    (build / "System.map").write_text(f"0000 T _text\n{len(image(config=None)):x} D _edata\n")
    (build / ".config").write_text(MTE)
    kernel = adopt(path)
    assert kernel.vmlinux is not None
    assert (kernel.directory / "System.map").is_file()
    assert kernel.config is not None
    assert kernel.config.read_text() == MTE


def test_vmlinux_of_another_build_is_not_used(build: Path, adopt: Adopt) -> None:
    path = build / "Image"
    path.write_bytes(image())
    (build / "vmlinux").write_bytes(b"\x7fELF" + BANNER.replace(b"#1", b"#2"))
    kernel = adopt(path)
    assert kernel.vmlinux is None
    assert "nothing" in kernel.description


def test_truncated_by_its_system_map(build: Path, adopt: Adopt) -> None:
    path = build / "Image"
    path.write_bytes(image())
    (build / "System.map").write_text(f"0000 T _text\n{len(image()) + 1:x} D _edata\n")
    with pytest.raises(ImageError, match="is truncated"):
        adopt(path)


@pytest.mark.parametrize("embedded", [True, False])
def test_without_mte(build: Path, adopt: Adopt, *, embedded: bool) -> None:
    path = build / "Image"
    path.write_bytes(image(config=NO_MTE if embedded else None))
    (build / ".config").write_text(MTE if embedded else NO_MTE)
    with pytest.raises(ImageError, match="without MTE"):
        adopt(path)


def test_copied_so_that_a_new_build_does_not_matter(build: Path, adopt: Adopt) -> None:
    path = build / "Image"
    path.write_bytes(image())
    first = adopt(path)
    path.write_bytes(image(banner=BANNER.replace(b"#1", b"#2")))
    second = adopt(path)
    assert first.key != second.key
    assert first.image.read_bytes() == image()


@pytest.mark.parametrize("damage", [b"", None, b"\xff"])
def test_damaged_cache(build: Path, adopt: Adopt, damage: bytes | None) -> None:
    path = build / "Image"
    path.write_bytes(image())
    cached = adopt(path).image
    match damage:
        case None:
            cached.unlink()
        case b"":
            cached.write_bytes(image()[:-1])
        case _:
            cached.write_bytes(image()[:-1] + damage)
    with pytest.raises(ArtifactError, match=r"missing|bytes, not|altered") as caught:
        adopt(path)
    assert f"rm -r {cached.parent}" in caught.value.cure


STUB = "ffffffffffffffff B The real System.map is in the linux-image-6.12.117-dbg package\n"


def test_companions_as_distributions_name_them(tmp_path: Path, adopt: Adopt) -> None:
    path = tmp_path / "vmlinuz-6.12.117"
    path.write_bytes(image(config=None))
    (tmp_path / "config-6.12.117").write_text(f"{MTE}# {'x' * 300}\n")
    (tmp_path / "config-6.12.118").write_text(f"{NO_MTE}# {'x' * 300}\n")
    (tmp_path / "System.map-6.12.117").write_text(STUB)
    kernel = adopt(path)
    assert kernel.built_with("CONFIG_ARM64_MTE") is True
    assert kernel.description == f"{path} (with it: nothing)"


@pytest.mark.parametrize(("flags", "size"), [(2, 4096), (0b1010, 4096), (4, 16384), (6, 65536)])
def test_page_size(tmp_path: Path, flags: int, size: int) -> None:
    path = tmp_path / "Image"
    path.write_bytes(image_header(flags))
    assert page_size(path) == size


@pytest.mark.parametrize("head", [image_header(0), image_header(2, b"ARM\x65"), b"MZ"])
def test_no_page_size(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "Image"
    path.write_bytes(head)
    with pytest.raises(ImageError, match="does not say the size of its pages"):
        page_size(path)
