# SPDX-License-Identifier: MIT
"""Modules in their order, and the archive that holds them."""

from __future__ import annotations

import lzma
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError
from harness.kernel.initramfs import build_initramfs, find_modules, load_order

if TYPE_CHECKING:
    from pathlib import Path

ARM = "aarch64-linux-gnu-gcc"


def module(directory: Path, name: str, depends: str, *, packed: bool = False) -> bytes:
    """Make a module whose .modinfo has what modpost writes there."""
    path = directory / f"{name}.ko"
    text = f"depends={depends}"
    info = f'static const char a[] __attribute__((used, section(".modinfo"))) = "{text}";'
    subprocess.run([ARM, "-c", "-x", "c", "-", "-o", path], input=info.encode(), check=True)
    data = path.read_bytes()
    if packed:
        path.unlink()
        path.with_name(f"{name}.ko.xz").write_bytes(lzma.compress(data))
    return data


def test_a_module_comes_after_those_that_it_needs(tmp_path: Path) -> None:
    ext4 = module(tmp_path, "ext4", "jbd2,mb-cache", packed=True)
    jbd2 = module(tmp_path, "jbd2", "crc")
    cache = module(tmp_path, "mb_cache", "")
    crc = module(tmp_path, "crc", "", packed=True)
    module(tmp_path, "unwanted", "")
    modules = find_modules(tmp_path)
    assert load_order(("virtio_pci", "ext4", "jbd2"), modules) == [crc, jbd2, cache, ext4]


def test_a_dependency_that_is_missing(tmp_path: Path) -> None:
    module(tmp_path, "ext4", "jbd2")
    with pytest.raises(ArtifactError, match="ext4 needs jbd2, which is not there"):
        load_order(("ext4",), find_modules(tmp_path))


@pytest.mark.parametrize("name", ["ext4.ko", "ext4.ko.xz"])
def test_a_damaged_module(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=name):
        load_order(("ext4",), find_modules(tmp_path))


def test_the_archive_is_read_as_the_kernel_reads_it() -> None:
    archive = build_initramfs(b"#!init", [b"first", b"second!"])
    names = subprocess.run(
        ["python3", "-c", READER], input=archive, capture_output=True, check=True
    ).stdout.decode()
    assert names.splitlines() == [
        "dev 40755 0", "root 40755 0", "dev/console 20600 0", "init 100755 6",
        "0.ko 100755 5", "1.ko 100755 7", "TRAILER!!! 0 0",
    ]  # fmt: skip


# Reads the format as init/initramfs.c does: fixed fields, names and data padded to four bytes.
READER = """
import sys
data, at = sys.stdin.buffer.read(), 0
while at < len(data):
    head = data[at:at + 110]
    assert head[:6] == b"070701", head
    field = [int(head[i:i + 8], 16) for i in range(6, 110, 8)]
    mode, size, length = field[1], field[6], field[11]
    name = data[at + 110:at + 110 + length - 1].decode()
    assert data[at + 110 + length - 1] == 0
    print(name, f"{mode:o}", size)
    at = (at + 110 + length + 3) // 4 * 4
    at = (at + size + 3) // 4 * 4
"""
