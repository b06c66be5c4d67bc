# SPDX-License-Identifier: MIT
"""Kernels in root file systems and unpacked packages: which one, and the files of its build."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import HarnessError, ImageError, UsageError
from harness.core.paths import resources
from harness.core.progress import Silent
from harness.kernel import ImageKernel, Kernel, TreeKernel, locate_kernel, obtain_kernel
from harness.kernel.build_options import BuildOptions
from tests.unit.kernel_files import (
    BUILT_IN,
    IMAGE,
    RELEASE,
    VMLINUX,
    WITH_MODULES,
    boot_files,
    modules,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def obtained(argument: Path, tmp_path: Path) -> Kernel:
    source = locate_kernel(str(argument), resources())
    return obtain_kernel(source, tmp_path / "cache", Silent())


@pytest.mark.parametrize("below", ["lib/modules", "usr/lib/modules"])
def test_boot_and_modules(root: Path, tmp_path: Path, below: str) -> None:
    boot_files(root)
    blk = modules(root, below)
    for argument in (root, root / "boot", root / f"boot/vmlinuz-{RELEASE}"):
        kernel = obtained(argument, tmp_path)
        assert (kernel.name, kernel.release) == (f"vmlinuz-{RELEASE}", RELEASE)
        assert kernel.initramfs is not None
        archive = kernel.initramfs.read_bytes()
        assert blk in archive
        assert b"0.ko\0" in archive
        assert b"1.ko\0" not in archive  # ext4 is built in
        assert kernel.config is not None
        assert kernel.config.read_text() == WITH_MODULES
        assert not kernel.unmodified


@pytest.mark.parametrize("below", ["lib/modules", "usr/lib/modules"])
def test_all_below_modules(root: Path, tmp_path: Path, below: str) -> None:
    place = root / below / RELEASE
    vmlinuz = write(place / "vmlinuz", IMAGE)
    write(place / "config", WITH_MODULES)
    modules(root, below)
    write(root / f"usr/lib/debug/lib/modules/{RELEASE}/vmlinux", VMLINUX)
    for argument in (root, place, vmlinuz):
        kernel = obtained(argument, tmp_path)
        assert kernel.name == f"vmlinuz-{RELEASE}"
        assert kernel.initramfs is not None
        assert kernel.config is not None
        assert kernel.vmlinux is not None


def test_symbols_of_the_dbg_package(root: Path, tmp_path: Path) -> None:
    boot_files(root, config=BUILT_IN)
    write(root / f"usr/lib/debug/boot/vmlinux-{RELEASE}", VMLINUX)
    assert obtained(root, tmp_path).vmlinux is not None


def test_modules_of_another_release_are_not_used(root: Path, tmp_path: Path) -> None:
    boot_files(root)
    modules(root)
    (root / f"lib/modules/{RELEASE}").rename(root / "lib/modules/6.18.16")
    assert obtained(root, tmp_path).initramfs is None


def test_a_kernel_without_modules_needs_none(root: Path, tmp_path: Path) -> None:
    boot_files(root, config=BUILT_IN)
    modules(root)
    kernel = obtained(root, tmp_path)
    assert kernel.initramfs is None
    assert kernel.vmlinux is None


def test_the_key_is_by_content(root: Path, tmp_path: Path) -> None:
    boot_files(root)
    modules(root)
    first = obtained(root, tmp_path)
    (root / "boot/elsewhere").mkdir()
    assert obtained(root, tmp_path).key == first.key
    write(root / f"boot/config-{RELEASE}", WITH_MODULES + "CONFIG_X=y\n")
    second = obtained(root, tmp_path)
    packed = root / f"lib/modules/{RELEASE}/kernel/drivers/block/virtio_blk.ko.xz"
    packed.write_bytes(lzma.compress(lzma.decompress(packed.read_bytes()) + b"new"))
    third = obtained(root, tmp_path)
    assert len({kernel.key for kernel in (first, second, third)}) == 3


def test_several_versions_are_listed(root: Path) -> None:
    boot_files(root, "6.1.0-57-arm64")
    boot_files(root)
    write(root / f"boot/vmlinuz-{RELEASE}.old", IMAGE)
    (root / "vmlinuz").symlink_to(f"boot/vmlinuz-{RELEASE}")
    with pytest.raises(UsageError, match=r"has 2 kernels: .*/boot/vmlinuz-6\.1\.0-57-arm64, "):
        locate_kernel(str(root), resources())
    path = root / "vmlinuz"
    assert locate_kernel(str(path), resources()) == ImageKernel(path.resolve())


def test_one_version_in_two_places_is_one_kernel(root: Path) -> None:
    vmlinuz = boot_files(root)
    write(root / f"usr/lib/modules/{RELEASE}/vmlinuz", IMAGE)
    (root / "lib").symlink_to("usr/lib")
    assert locate_kernel(str(root), resources()) == ImageKernel(vmlinuz)


def test_what_make_install_calls_an_unpacked_image(root: Path, tmp_path: Path) -> None:
    write(root / f"boot/vmlinux-{RELEASE}", IMAGE)
    write(root / f"boot/config-{RELEASE}", BUILT_IN)
    kernel = obtained(root, tmp_path)
    assert kernel.image.read_bytes() == IMAGE
    assert kernel.vmlinux is None


def test_dir_pkg_has_a_vmlinux_in_boot(root: Path, tmp_path: Path) -> None:
    boot_files(root, config=BUILT_IN)
    write(root / f"boot/vmlinux-{RELEASE}", VMLINUX)
    assert obtained(root, tmp_path).vmlinux is not None


def test_a_directory_that_is_two_things(root: Path) -> None:
    boot_files(root)
    write(root / "Kconfig", "")
    with pytest.raises(UsageError, match="has a kernel source and an installed kernel"):
        locate_kernel(str(root), resources())


def test_an_output_directory_with_a_kernel_in_it(root: Path) -> None:
    boot_files(root)
    write(root / "Makefile", "# Automatically generated by x/Makefile\ninclude x/Makefile\n")
    with pytest.raises(UsageError, match=r"has the output of a build .* and an installed kernel"):
        locate_kernel(str(root), resources())


@pytest.mark.parametrize("below", ["", f"boot/vmlinuz-{RELEASE}"])
def test_it_is_built_already(root: Path, below: str) -> None:
    boot_files(root)
    options = BuildOptions(llvm=True)
    with pytest.raises(UsageError, match=r"--llvm cannot change .* which is built already"):
        locate_kernel(str(root / below), resources(), options)


def test_a_directory_that_is_nothing(root: Path, tmp_path: Path) -> None:
    assert isinstance(locate_kernel(str(root), resources()), TreeKernel)
    with pytest.raises(HarnessError, match=r"has no Makefile .*boot/vmlinuz-VERSION or linux-"):
        obtained(root, tmp_path)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (WITH_MODULES.replace("MTE=y", "MTE=n"), "without MTE"),
        ("what\n", r"\.config .* is damaged"),
    ],
)
def test_bad_config(root: Path, tmp_path: Path, config: str, words: str) -> None:
    boot_files(root, config=config)
    with pytest.raises(ImageError, match=words):
        obtained(root, tmp_path)


def test_a_kernel_of_an_x86(root: Path, tmp_path: Path) -> None:
    data = bytearray(IMAGE)
    data[0x202:0x206] = b"HdrS"
    write(root / "boot/vmlinuz-6.1.0-57-amd64", bytes(data))
    with pytest.raises(ImageError, match="is an x86 bzImage"):
        obtained(root, tmp_path)
