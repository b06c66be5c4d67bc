# SPDX-License-Identifier: MIT
"""Built kernels that travel in a directory."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.errors import ArtifactError, DiskFullError, UsageError
from harness.core.progress import Silent
from harness.core.store import Store
from harness.kernel import bundle as module
from harness.kernel import find_bundled, obtain_kernel, pack
from harness.kernel.artifact import load_kernel, write_meta
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel import Kernel

KERNEL, TESTS, SYMBOLS, IMAGE = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
ZEROS = bytes(1 << 20)


def entry(cache: Path, kind: str, key: str, files: dict[str, bytes]) -> Path:
    def make(into: Path) -> None:
        for name, data in files.items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(data)
        if kind == "builds":
            write_meta(into, {"release": "7.3.4", "lacking": []})

    return Store(cache, kind, Silent()).obtain(key, make)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """Return a kernel of a cache, with selftests and vmlinux in entries of their own."""
    cache = tmp_path / "cache"
    place = entry(cache, "builds", KERNEL, {"Image": b"image", "config": b"CONFIG_X=y\n"})
    tests = entry(cache, "selftests", TESTS, {"check_one": b"\x7fELF", "deep/file": b"1"})
    (tests / "check_one").chmod(0o755)
    symbols = entry(cache, "symbols", SYMBOLS, {"vmlinux": b"\x7fELF vmlinux"})
    loaded = load_kernel(place, "debian:7.3", "Debian's own", unmodified=True)
    cures = frozenset({"a-b", "c"})
    return replace(loaded, selftests=tests, vmlinux=symbols / "vmlinux", cures=cures)


@pytest.fixture
def bundle(kernel: Kernel, tmp_path: Path) -> Path:
    """Return a bundle of the kernel."""
    image = entry(tmp_path / "cache", "images", IMAGE, {"root.ext4": b"x" + ZEROS + b"y" + ZEROS})
    into = tmp_path / "bundle"
    pack(kernel, "debian:7.3", "dram/carveout", kernel.selftests, image, into, Silent())
    return into


def taken(bundle: Path, cache: Path) -> Kernel:
    return obtain_kernel(find_bundled(bundle, "debian:7.3"), cache, Silent())


def test_a_kernel_arrives_as_it_was(bundle: Path, kernel: Kernel, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "cache")
    cache = tmp_path / "other"
    found = taken(bundle, cache)
    same = {"name", "key", "release", "description", "unmodified", "cures"}
    assert {name: getattr(found, name) for name in same} == {
        name: getattr(kernel, name) for name in same
    }
    assert found.image.read_bytes() == b"image"
    assert found.built_with("CONFIG_X")
    assert found.vmlinux is not None
    assert found.vmlinux.read_bytes() == b"\x7fELF vmlinux"
    assert found.selftests is not None
    assert os.access(found.selftests / "check_one", os.X_OK)
    assert (found.selftests / "deep/file").read_bytes() == b"1"
    root = cache / "images" / IMAGE / "root.ext4"
    assert root.read_bytes() == b"x" + ZEROS + b"y" + ZEROS
    assert root.stat().st_blocks * 512 < len(ZEROS)  # holes stay holes


def test_the_machine_of_its_recipe_comes_along(bundle: Path) -> None:
    assert parse_target("debian:7.3", None, bundle=bundle).spec.name == "dram/carveout"
    assert parse_target("debian:7.3@emulator", None, bundle=bundle).spec.name == "emulator"


def test_what_the_cache_has_is_not_read_again(bundle: Path, tmp_path: Path) -> None:
    taken(bundle, tmp_path / "other")
    for kind in ("builds", "selftests", "symbols", "images"):
        shutil.rmtree(bundle / kind)
    assert taken(bundle, tmp_path / "other").image.is_file()


def test_a_kernel_that_the_bundle_lacks(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no kernel stock \(it has: debian:7.3\)"):
        find_bundled(bundle, "stock")
    with pytest.raises(UsageError, match="has no kernel stock"):
        find_bundled(tmp_path / "nothing", "stock")


def test_selftests_that_lie_with_the_kernel_go_with_it(kernel: Kernel, tmp_path: Path) -> None:
    place = entry(tmp_path / "cache", "builds", "e" * 16, {"Image": b"i", "selftests/check": b"c"})
    built = load_kernel(place, "stock", "")
    image = entry(tmp_path / "cache", "images", IMAGE, {"root.ext4": b"x"})
    pack(built, "stock", None, built.selftests, image, tmp_path / "bundle", Silent())
    shutil.rmtree(tmp_path / "cache")
    bundled = find_bundled(tmp_path / "bundle", "stock")
    assert bundled.machine is None
    found = obtain_kernel(bundled, tmp_path / "other", Silent())
    assert found.selftests == found.directory / "selftests"
    assert (found.selftests / "check").read_bytes() == b"c"


def refused(bundle: Path, cache: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        taken(bundle, cache)
    assert "\n" not in str(caught.value)
    for kind in ("builds", "selftests", "symbols", "images"):  # nothing half taken
        assert not list((cache / kind).glob(".*")) if (cache / kind).exists() else True
    return str(caught.value)


@pytest.mark.parametrize(
    "file",
    [f"builds/{KERNEL}/Image", f"selftests/{TESTS}/deep/file", f"images/{IMAGE}/root.ext4"],
)
@pytest.mark.parametrize("how", ["altered", "cut", "missing", "link"])
def test_a_damaged_file(bundle: Path, tmp_path: Path, file: str, how: str) -> None:
    path = bundle / file
    data = path.read_bytes()
    path.unlink()
    match how:
        case "altered":
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        case "cut":
            path.write_bytes(data[:-1])
        case "link":
            (tmp_path / "elsewhere").write_bytes(data)
            path.symlink_to(tmp_path / "elsewhere")
    said = refused(bundle, tmp_path / "other")
    assert file in said
    assert ("was altered" in said) is (how in {"altered", "cut"})


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"argument": "stock"},
        {"parts": "none"},
        {"no_such": 1},
        {"kernel": "e" * 16},
        {"kernel": "../../etc"},
        {"symbols": "e" * 16},
        {"parts": []},
        {"parts": [{"kind": "builds", "key": "../../etc", "files": {}}]},
        {"parts": [{"kind": "guests", "key": KERNEL, "files": {}}]},
        {"parts": [{"kind": "builds", "key": KERNEL, "files": {"../../x": "1"}}]},
        {"parts": [{"kind": "builds", "key": KERNEL, "files": {"/etc/passwd": "1"}}]},
    ],
)
def test_a_foreign_list(bundle: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    (path,) = bundle.glob("kernel-*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert " lists " in refused(bundle, tmp_path / "other")


def test_a_list_that_is_no_json(bundle: Path, tmp_path: Path) -> None:
    (path,) = bundle.glob("kernel-*.json")
    path.write_bytes(b"\xff\x00")
    assert "lists no kernel" in refused(bundle, tmp_path / "other")


def test_a_bundle_that_cannot_be_written(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    image = entry(tmp_path / "cache", "images", IMAGE, {"root.ext4": b"x"})
    with pytest.raises(UsageError, match="cannot be written"):
        pack(kernel, "stock", None, None, image, tmp_path / "file", Silent())


def test_a_list_that_cannot_be_written(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "replace_file", full)
    image = entry(tmp_path / "cache", "images", IMAGE, {"root.ext4": b"x"})
    with pytest.raises(DiskFullError):
        pack(kernel, "stock", None, None, image, tmp_path / "bundle", Silent())
    monkeypatch.setattr(module, "replace_file", lambda *_: (tmp_path / "file" / "x").write_text(""))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        pack(kernel, "stock", None, None, image, tmp_path / "bundle", Silent())
