# SPDX-License-Identifier: MIT
"""Kernels that no guest can run on are refused by the name of the symbol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core.cross import PAGE_SIZES
from harness.core.errors import ImageError, UsageError
from harness.guest.kernel_needs import MOUNTED, NEEDS, require_needs, require_page_size
from harness.vm.spec import MACHINES
from tests.support.fake_session import fake_kernel

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel import Kernel

WHOLE = "".join(f"{symbols[0]}=y\n" for symbols, _ in (*NEEDS, MOUNTED))


def kernel(directory: Path, old: str = "", new: str = "") -> Kernel:
    assert old in WHOLE
    return fake_kernel(directory, config=WHOLE.replace(old, new))


def test_a_whole_kernel(tmp_path: Path) -> None:
    require_needs(kernel(tmp_path))
    require_needs(kernel(tmp_path, "CONFIG_PROC_SYSCTL=y", "CONFIG_SYSCTL=y"))
    require_needs(replace(kernel(tmp_path), config=None))


@pytest.mark.parametrize("symbols", [symbols for symbols, _ in (*NEEDS, MOUNTED)])
def test_each_symbol_is_needed(tmp_path: Path, symbols: tuple[str, ...]) -> None:
    with pytest.raises(ImageError, match=f"has no {' or '.join(symbols)} \\("):
        require_needs(kernel(tmp_path, f"{symbols[0]}=y\n", ""))


def test_a_module_needs_an_initramfs(tmp_path: Path) -> None:
    found = kernel(tmp_path, "CONFIG_VIRTIO_BLK=y", "CONFIG_VIRTIO_BLK=m")
    with pytest.raises(ImageError, match=r"has CONFIG_VIRTIO_BLK=m .*debian:VERSION"):
        require_needs(found)
    require_needs(replace(found, initramfs=tmp_path / "initramfs"))


def test_an_initramfs_mounts_dev(tmp_path: Path) -> None:
    found = kernel(tmp_path, "CONFIG_DEVTMPFS_MOUNT=y\n", "")
    require_needs(replace(found, initramfs=tmp_path / "initramfs"))


def test_a_probe_has_a_module_only_with_an_initramfs(tmp_path: Path) -> None:
    found = fake_kernel(tmp_path, config="CONFIG_ZRAM=m\nCONFIG_SWAP=y")
    assert [found.built_with(f"CONFIG_{name}") for name in ("ZRAM", "SWAP", "KSM")] == [
        False, True, False,
    ]  # fmt: skip
    assert replace(found, initramfs=tmp_path / "initramfs").built_with("CONFIG_ZRAM") is True
    assert replace(found, config=None).built_with("CONFIG_ZRAM") is None


@pytest.mark.parametrize("size", PAGE_SIZES)
def test_tags_in_dram_are_read_by_pages_of_4_kib(tmp_path: Path, size: int) -> None:
    subject = fake_kernel(tmp_path, page_size=size)
    require_page_size(subject, MACHINES["emulator"])
    for name, spec in MACHINES.items():
        if name == "emulator" or size == PAGE_SIZES[0]:
            require_page_size(subject, spec)
        else:
            with pytest.raises(UsageError, match=f"pages of {size >> 10} KiB; with machine {name}"):
                require_page_size(subject, spec)
