# SPDX-License-Identifier: MIT
"""Kernels in .deb files on disk: which belong together, and what is none."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import HarnessError, ImageError, UsageError
from harness.core.paths import resources
from harness.core.progress import Silent
from harness.kernel import Kernel, locate_kernel, obtain_kernel
from harness.kernel.build_options import BuildOptions
from tests.unit.kernel_files import (
    BANNER,
    BUILT_IN,
    IMAGE,
    RELEASE,
    VERSION,
    VMLINUX,
    WITH_MODULES,
    boot_files,
    deb,
    modules,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"linux-image-{RELEASE}"


def obtained(argument: Path, tmp_path: Path) -> Kernel:
    source = locate_kernel(str(argument), resources())
    return obtain_kernel(source, tmp_path / "cache", Silent())


@pytest.fixture
def debs(tmp_path: Path) -> Path:
    return tmp_path / "debs"


@pytest.fixture
def whole(tmp_path: Path, debs: Path) -> Path:
    """Return a package with all of a kernel, as of `make bindeb-pkg`."""
    boot_files(tmp_path / "whole")
    modules(tmp_path / "whole")
    return deb(debs, tmp_path / "whole", NAME)


@pytest.fixture
def split(tmp_path: Path, debs: Path) -> dict[str, Path]:
    """Return the packages of a kernel as Debian has them since 7.0, by kind."""
    place = f"usr/lib/modules/{RELEASE}"
    write(tmp_path / "binary" / place / "vmlinuz", IMAGE)
    write(tmp_path / "base" / place / "config", WITH_MODULES)
    modules(tmp_path / "modules", "usr/lib/modules")
    kinds = ("binary", "base", "modules", "image")
    return {kind: deb(debs, tmp_path / kind, f"linux-{kind}-{RELEASE}") for kind in kinds}


def dbg(tmp_path: Path, debs: Path, place: str, banner: bytes = BANNER) -> Path:
    write(tmp_path / "dbg/usr/lib/debug" / place, VMLINUX.replace(BANNER, banner))
    write(tmp_path / f"dbg/usr/lib/debug/lib/modules/{RELEASE}/kernel/a.ko", b"\x7fELF")
    return deb(debs, tmp_path / "dbg", f"{NAME}-dbg")


def test_all_in_one(tmp_path: Path, whole: Path) -> None:
    for argument in (whole, whole.parent):
        kernel = obtained(argument, tmp_path)
        assert (kernel.name, kernel.release, kernel.unmodified) == (NAME, RELEASE, False)
        assert kernel.image.read_bytes() == IMAGE
        assert kernel.initramfs is not None
        assert kernel.vmlinux is None
        assert not (kernel.directory / "tree").exists()


def test_it_is_built_already(whole: Path) -> None:
    for argument in (whole, whole.parent):
        options = BuildOptions(symbols=(("NUMA", "n"),))
        with pytest.raises(UsageError, match=r"--set cannot change .* which is built already"):
            locate_kernel(str(argument), resources(), options)


def test_without_modules(tmp_path: Path, debs: Path) -> None:
    boot_files(tmp_path / "whole", config=BUILT_IN)
    kernel = obtained(deb(debs, tmp_path / "whole", NAME), tmp_path)
    assert kernel.initramfs is None


@pytest.mark.parametrize("named", ["binary", "image"])
def test_split(tmp_path: Path, split: dict[str, Path], named: str) -> None:
    kernel = obtained(split[named], tmp_path)
    assert kernel.name == f"linux-{named}-{RELEASE}"
    assert kernel.initramfs is not None
    assert kernel.config is not None


def test_split_in_a_directory(tmp_path: Path, split: dict[str, Path], debs: Path) -> None:
    write(tmp_path / "headers/x", "x")
    deb(debs, tmp_path / "headers", f"linux-headers-{RELEASE}")
    assert obtained(debs, tmp_path).initramfs is not None


@pytest.mark.parametrize(
    ("named", "missing", "words"),
    [
        ("binary", "modules", "modules"),
        ("binary", "base", ".config"),
        ("image", "binary", "vmlinuz"),
    ],
)
def test_a_package_that_is_missing_is_named(
    tmp_path: Path, split: dict[str, Path], named: str, missing: str, words: str
) -> None:
    name = split[missing].name
    # One of another revision is no companion.
    split[missing].unlink()
    deb(split[named].parent, tmp_path / missing, f"linux-{missing}-{RELEASE}", "6.18.15-2")
    with pytest.raises(ImageError) as caught:
        obtained(split[named], tmp_path)
    assert f"holds no {words}, and {name} is not beside it" in str(caught.value)
    assert not [path for path in (tmp_path / "cache/builds").iterdir() if path.is_dir()]


def test_several_kernels_are_listed(tmp_path: Path, whole: Path, debs: Path) -> None:
    other = deb(debs, tmp_path / "whole", NAME, "6.18.15-2")
    with pytest.raises(UsageError) as caught:
        locate_kernel(str(debs), resources())
    assert f"has 2 kernels: {whole}, {other}" in str(caught.value)
    assert obtained(other, tmp_path).description.endswith("6.18.15-2")


def test_signed_and_unsigned_are_one_kernel(tmp_path: Path, whole: Path, debs: Path) -> None:
    unsigned = deb(debs, tmp_path / "whole", f"{NAME}-unsigned")
    assert obtained(debs, tmp_path).name == NAME
    assert obtained(unsigned, tmp_path).name == f"{NAME}-unsigned"


def test_for_another_architecture(tmp_path: Path, whole: Path, debs: Path) -> None:
    other = deb(tmp_path / "amd64", tmp_path / "whole", NAME, architecture="amd64")
    with pytest.raises(ImageError, match="is a package for amd64, not arm64"):
        obtained(other, tmp_path)
    with pytest.raises(UsageError, match="has no kernel for arm64 among its 1 "):
        obtained(other.parent, tmp_path)
    shutil.copy(other, debs)
    assert obtained(debs, tmp_path).release == RELEASE


@pytest.mark.parametrize(
    "name",
    [
        "hello",
        f"linux-headers-{RELEASE}",
        "linux-image-arm64",
        f"{NAME}-dbg",
        f"linux-base-{RELEASE}",
    ],
)
def test_no_kernel(tmp_path: Path, debs: Path, name: str) -> None:
    path = deb(debs, tmp_path / "whole", name)
    with pytest.raises(ImageError, match=f"is {name.replace('+', '.')}, which holds no kernel"):
        obtained(path, tmp_path)


def test_an_empty_package(tmp_path: Path, debs: Path) -> None:
    with pytest.raises(ImageError, match="holds no vmlinuz, and linux-binary-"):
        obtained(deb(debs, tmp_path / "empty", NAME), tmp_path)


@pytest.mark.parametrize("left", [0, 5, 100, -1000, -100])
def test_truncated(tmp_path: Path, whole: Path, left: int) -> None:
    whole.write_bytes(whole.read_bytes()[:left])
    with pytest.raises(ImageError, match=r"is damaged, or no \.deb|does not unpack") as caught:
        obtained(whole, tmp_path)
    assert str(whole) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(HarnessError):
        obtained(whole.parent, tmp_path)


def test_another_name(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "download"
    whole.rename(path)
    assert obtained(path, tmp_path).release == RELEASE


def test_the_key_is_by_content(tmp_path: Path, whole: Path) -> None:
    first = obtained(whole, tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(whole, copy / "a.deb")
    assert obtained(copy / "a.deb", tmp_path).key == first.key
    write(tmp_path / "whole/boot/new", "x")
    assert obtained(deb(whole.parent, tmp_path / "whole", NAME), tmp_path).key != first.key


@pytest.mark.parametrize(
    "place",
    [
        f"boot/vmlinux-{RELEASE}",
        f"lib/modules/{RELEASE}/vmlinux",
        f"usr/lib/modules/{RELEASE}/vmlinux",
    ],
)
def test_debug_symbols_beside_it(tmp_path: Path, whole: Path, debs: Path, place: str) -> None:
    without = obtained(whole, tmp_path)
    dbg(tmp_path, debs, place)
    for argument in (whole, debs):
        kernel = obtained(argument, tmp_path)
        assert kernel.vmlinux is not None
        assert kernel.vmlinux.read_bytes() == VMLINUX
        assert kernel.key == without.key  # they decide no verdict


def test_debug_symbols_of_another_build(tmp_path: Path, whole: Path, debs: Path) -> None:
    dbg(tmp_path, debs, f"boot/vmlinux-{RELEASE}", BANNER.replace(b"#1", b"#2"))
    with pytest.raises(ImageError, match=f"{VERSION.replace('+', '.')}.* is of another build than"):
        obtained(whole, tmp_path)
    assert not [path for path in (tmp_path / "cache/symbols").iterdir() if path.is_dir()]


def test_debug_symbols_without_a_vmlinux(tmp_path: Path, whole: Path, debs: Path) -> None:
    # As in boot/ of `make bindeb-pkg`: a symlink is no vmlinux.
    path = dbg(tmp_path, debs, "other")
    with pytest.raises(ImageError, match="holds no vmlinux"):
        obtained(whole, tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match=r"is damaged|holds no vmlinux"):
        obtained(whole, tmp_path)
