# SPDX-License-Identifier: MIT
"""Which packages are a kernel that Debian built."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import BaseGoneError, NetworkError, NotThereError, UsageError
from harness.core.progress import Silent
from harness.host.debian import Deb
from harness.host.downloaded import downloaded
from harness.kernel import debian_binary, debian_pool
from harness.kernel.debian_binary import DebianKernel, obtain_debian, parse_debian
from harness.kernel.recipe import DebianBase
from tests.unit.kernel_files import BUILT_IN, RELEASE, VERSION, VMLINUX, boot_files, deb, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.debian import DebSet


def three(end: str) -> tuple[str, ...]:
    return tuple(f"linux-{part}-{end}" for part in ("binary", "modules", "base"))


BACKPORTS = frozenset({
    *three("7.3.4+deb13-arm64"), "linux-image-7.3.4+deb13-arm64",
    *three("7.3.4+deb13-cloud-arm64"), *three("7.3.4+deb13-arm64-16k"),
    *three("7.3.4+deb13-rt-arm64"), *three("7.3.4+deb13-arm64-dbg"),
    *three("7.2.9+deb13-arm64"), *three("7.2.12+deb13-arm64"),
    "linux-binary-7.2.13+deb13-arm64", "linux-image-7.2.13+deb13-arm64",
    "linux-image-6.18.15+deb13-arm64", "linux-image-6.18.15+deb13-arm64-unsigned",
    "linux-image-arm64",
})  # fmt: skip
STABLE = frozenset({"linux-image-6.12.118+deb13-arm64", "linux-image-6.12.118+deb13-rt-arm64"})


class AskedError(Exception):
    """The packages were asked for."""


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """Return suite and packages of what is fetched; a suite has the names above."""
    asked: list[tuple[str, tuple[str, ...]]] = []
    suites = {"trixie-backports": BACKPORTS, "trixie": STABLE}

    def fetch(
        wanted: DebSet, choose: Callable[[frozenset[str]], tuple[str, ...]], *_: object
    ) -> tuple[Deb, ...]:
        assert not wanted.dependencies
        names = choose(suites.get(wanted.suite, frozenset()))
        if not names:
            raise NotThereError(f"{wanted.suite} has none")
        asked.append((wanted.suite, names))
        raise AskedError

    for module in (debian_binary, debian_pool):
        monkeypatch.setattr(module, "fetch_chosen", fetch)
    return asked


@pytest.mark.parametrize(
    ("argument", "suite", "packages"),
    [
        ("debian:7.3.4", "trixie-backports", three("7.3.4+deb13-arm64")),
        ("debian:7.3", "trixie-backports", three("7.3.4+deb13-arm64")),
        ("debian:7.2", "trixie-backports", three("7.2.12+deb13-arm64")),
        ("debian:7.3.4-16k", "trixie-backports", three("7.3.4+deb13-arm64-16k")),
        ("debian:7.3.4-rt", "trixie-backports", three("7.3.4+deb13-rt-arm64")),
        ("debian:7.3.4-cloud", "trixie-backports", three("7.3.4+deb13-cloud-arm64")),
        ("debian:6.18.15", "trixie-backports", ("linux-image-6.18.15+deb13-arm64",)),
        ("debian:6.12.118-rt", "trixie", ("linux-image-6.12.118+deb13-rt-arm64",)),
    ],
)
def test_packages(
    tmp_path: Path,
    fetched: list[tuple[str, tuple[str, ...]]],
    argument: str,
    suite: str,
    packages: tuple[str, ...],
) -> None:
    with pytest.raises(AskedError):
        obtain_debian(parse_debian(argument), tmp_path, Silent())
    assert fetched == [(suite, packages)]


@pytest.mark.parametrize("argument", ["debian:6.19.1", "debian:6.18.15-rt"])
def test_a_release_that_no_suite_has(
    tmp_path: Path, fetched: list[tuple[str, tuple[str, ...]]], argument: str
) -> None:
    with pytest.raises(BaseGoneError, match=f"base gone: {re.escape(argument)} "):
        obtain_debian(parse_debian(argument), tmp_path, Silent())
    assert fetched == []


@pytest.mark.parametrize("there", [True, False])
def test_what_a_suite_no_longer_lists_comes_from_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    binary, *others = three("7.2.13+deb13-arm64")
    asked = []

    def fetch(
        wanted: DebSet, choose: Callable[[frozenset[str]], tuple[str, ...]], *_: object
    ) -> tuple[Deb, ...]:
        names = choose(BACKPORTS if wanted.suite == "trixie-backports" else STABLE)
        if not names:
            raise NotThereError(f"{wanted.suite} has none")
        return tuple(Deb(name, "7.2.13-1", "", "", 1, tmp_path / f"{name}.deb") for name in names)

    def fetch_file(url: str, into: Path, _: object) -> None:
        asked.append(url)
        if not there:
            raise NotThereError(f"there is no {url}")
        into.write_text(url)

    for module in (debian_binary, debian_pool):
        monkeypatch.setattr(module, "fetch_chosen", fetch)
    monkeypatch.setattr(debian_pool, "fetch_file", fetch_file)
    source = parse_debian("debian:7.2.13")
    if not there:
        with pytest.raises(BaseGoneError, match=r"base gone: debian:7\.2\.13"):
            debian_binary._fetch(source, tmp_path, Silent())
        return
    debs = debian_binary._fetch(source, tmp_path, Silent())
    assert [deb.name for deb in debs] == [binary, *others]
    pool = "https://deb.debian.org/debian/pool/main/l/linux"
    assert asked == [f"{pool}/{name}_7.2.13-1_arm64.deb" for name in others]


@pytest.mark.parametrize("lists", [True, False])
def test_the_kernels_that_may_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/linux-image-6.16.3+deb13-arm64_6.16.3-1%7ebpo13+1_arm64.deb").touch()

    def names_in(wanted: DebSet, *_: object) -> frozenset[str]:
        if not lists:
            raise NetworkError("no answer")
        return BACKPORTS if wanted.suite == "trixie-backports" else STABLE

    monkeypatch.setattr(debian_binary, "names_in", names_in)
    all_of_them = ("6.12.118", "6.16.3", "6.18.15", "7.2.9", "7.2.12", "7.2.13", "7.3.4")
    found = debian_binary.released_kernels("", tmp_path, Silent())
    assert found == (all_of_them if lists else ("6.16.3",))
    rt = debian_binary.released_kernels("rt", tmp_path, Silent())
    assert rt == (("6.12.118", "7.3.4") if lists else ())


def test_an_empty_package_in_the_cache_is_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "linux-image-7.3.4+deb13-arm64_7.3.4-1_arm64.deb").touch()
    choose = functools.partial(debian_binary._packages, parse_debian("debian:7.3.4"))
    with pytest.raises(NotThereError):
        downloaded(choose, tmp_path)
    for name in three("7.3.4+deb13-arm64"):
        (tmp_path / f"{name}_7.3.4-1_arm64.deb").touch()
    (tmp_path / "linux-binary-7.3.4+deb13-arm64_7.3.4-2_arm64.deb").touch()
    debs = downloaded(choose, tmp_path)
    # Not the one package of a newer revision, which lacks its modules.
    assert [(deb.name, deb.version) for deb in debs] == [
        (name, "7.3.4-1") for name in three("7.3.4+deb13-arm64")
    ]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the packages that are downloaded from a suite with one kernel and its symbols."""
    boot_files(tmp_path / "image", config=BUILT_IN)
    write(tmp_path / f"dbg/usr/lib/debug/boot/vmlinux-{RELEASE}", VMLINUX)
    names = {f"linux-image-{RELEASE}": "image", f"linux-image-{RELEASE}-dbg": "dbg"}
    downloads = tmp_path / "cache/downloads"
    asked: list[str] = []

    def fetch(wanted: DebSet, *_: object) -> tuple[Deb, ...]:
        if wanted.suite != "trixie":
            raise NotThereError(f"{wanted.suite} has none")
        (package,) = wanted.packages
        name, _equals, version = package.partition("=")
        assert version in ("", VERSION)
        path = downloads / f"{name}_{VERSION}_arm64.deb"
        if not path.exists():
            asked.append(name)
            deb(downloads, tmp_path / names[name], name)
        return (Deb(name, VERSION, "", name, 1, path),)

    def fetch_chosen(
        wanted: DebSet, choose: Callable[[frozenset[str]], tuple[str, ...]], *_: object
    ) -> tuple[Deb, ...]:
        return fetch(dataclasses.replace(wanted, packages=choose(frozenset(names))))

    monkeypatch.setattr(debian_binary, "fetch_chosen", fetch_chosen)
    monkeypatch.setattr(debian_binary, "fetch", fetch)
    return asked


def test_kernel(tmp_path: Path, mirror: list[str]) -> None:
    kernel = obtain_debian(parse_debian("debian:6.18"), tmp_path / "cache", Silent())
    assert (kernel.name, kernel.release, kernel.unmodified) == ("debian:6.18", RELEASE, True)
    assert kernel.description == f"Debian's own build: linux-image-{RELEASE} {VERSION}"
    assert kernel.source == DebianBase("linux-source-6.18", "6.18.15")
    assert kernel.vmlinux is None
    assert mirror == [f"linux-image-{RELEASE}"]


def test_debug_symbols(tmp_path: Path, mirror: list[str]) -> None:
    plain = obtain_debian(parse_debian("debian:6.18.15"), tmp_path / "cache", Silent())
    for _ in range(2):
        kernel = obtain_debian(parse_debian("debian:6.18.15-dbg"), tmp_path / "cache", Silent())
        assert (kernel.name, kernel.key) == ("debian:6.18.15-dbg", plain.key)
        assert kernel.vmlinux is not None
        assert kernel.vmlinux.read_bytes() == VMLINUX
    # The gigabyte is downloaded once, and goes.
    assert mirror.count(f"linux-image-{RELEASE}-dbg") == 1
    assert not list((tmp_path / "cache/downloads").glob("*-dbg_*"))


def test_debug_symbols_that_no_suite_has(
    tmp_path: Path, mirror: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    obtain_debian(parse_debian("debian:6.18.15"), tmp_path / "cache", Silent())
    monkeypatch.setattr(debian_binary, "binary_suites", lambda: ("bookworm",))
    # The kernel itself is in the cache.
    gone = f"base gone: linux-image-{RELEASE}-dbg={VERSION} "
    with pytest.raises(BaseGoneError, match=re.escape(gone)):
        obtain_debian(parse_debian("debian:6.18.15-dbg"), tmp_path / "cache", Silent())


@pytest.mark.parametrize("given", [0, 1, 2])
def test_the_package_with_the_vmlinuz_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    names = list(three("7.3.4+deb13-arm64"))
    names = names[given:] + names[:given]  # apt prints them in an order of its own
    debs = tuple(Deb(name, "7.3.4-1", "", "", 1, tmp_path / name) for name in names)
    monkeypatch.setattr(debian_binary, "fetch_chosen", lambda *_: debs)
    found = debian_binary._fetch(parse_debian("debian:7.3.4"), tmp_path, Silent())
    assert [deb.name for deb in found] == list(three("7.3.4+deb13-arm64"))


@pytest.mark.parametrize(
    "argument", ["debian:", "debian:7", "debian:sid", "debian:7.3.4-x", "debian:7.3.4-dbg-rt"]
)
def test_no_kernel_of_debian(argument: str) -> None:
    with pytest.raises(UsageError, match="names no kernel of Debian"):
        parse_debian(argument)


def test_name() -> None:
    assert parse_debian("debian:6.12.118-rt") == DebianKernel("6.12.118", "rt")
    assert parse_debian("debian:7.3-16k-dbg") == DebianKernel("7.3", "16k", symbols=True)
    for name in ("debian:7.3", "debian:7.3-dbg", "debian:6.12.118-rt", "debian:6.12.118-rt-dbg"):
        assert parse_debian(name).name == name
