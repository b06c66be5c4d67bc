# SPDX-License-Identifier: MIT
"""The modules that a guest needs, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ImageError
from harness.kernel.modules import find_modules, guest_modules, load_order
from tests.unit.kernel_files import module

if TYPE_CHECKING:
    from pathlib import Path


def test_a_module_comes_after_those_that_it_needs(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    ext4 = module(kernel / "fs/ext4", "ext4", "jbd2,mb-cache", packed=True)
    jbd2 = module(kernel, "jbd2", "crc")
    cache = module(kernel, "mb_cache")
    crc = module(kernel, "crc", packed=True)
    module(kernel, "unwanted")
    modules = find_modules(tmp_path)
    assert load_order(("virtio_pci", "ext4", "jbd2"), modules) == [crc, jbd2, cache, ext4]


def test_a_module_from_elsewhere_is_not_the_kernel_s(tmp_path: Path) -> None:
    module(tmp_path / "updates/dkms", "ext4")
    own = module(tmp_path / "kernel", "virtio-blk")
    assert guest_modules(tmp_path, None) == [own]


def test_a_dependency_that_is_missing(tmp_path: Path) -> None:
    module(tmp_path / "kernel", "ext4", "jbd2")
    with pytest.raises(ImageError, match="ext4 needs jbd2, which is not there"):
        load_order(("ext4",), find_modules(tmp_path))


@pytest.mark.parametrize("data", [b"nothing", b"\xfd7zXZ\x00damaged", b"\x28\xb5\x2f\xfdx"])
@pytest.mark.parametrize("name", ["ext4.ko", "ext4.ko.xz", "ext4.ko.zst", "ext4.ko.gz"])
def test_a_damaged_module(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / name).write_bytes(data)
    with pytest.raises(ImageError, match=name):
        guest_modules(tmp_path, None)


def test_what_is_built_in_is_not_loaded(tmp_path: Path) -> None:
    blk = module(tmp_path / "kernel", "virtio_blk")
    module(tmp_path / "kernel", "ext4")  # of an older build
    assert guest_modules(tmp_path, {"VIRTIO_BLK": "m", "EXT4_FS": "y"}) == [blk]
    assert guest_modules(tmp_path, {"EXT4_FS": "y"}) == []


def test_a_module_of_the_config_that_is_missing(tmp_path: Path) -> None:
    config = {"VIRTIO_BLK": "m", "CRYPTO_CRC32C": "m"}
    with pytest.raises(ImageError, match=r"no virtio_blk\.ko, .* has CONFIG_VIRTIO_BLK=m"):
        guest_modules(tmp_path, config)
    blk = module(tmp_path / "kernel", "virtio_blk")
    assert guest_modules(tmp_path, config) == [blk]  # crc32c_generic has another name in 7.x
