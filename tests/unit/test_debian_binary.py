# SPDX-License-Identifier: MIT
"""Which packages are a kernel that Debian built."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError, BaseGoneError, NotThereError, UsageError
from harness.core.progress import Silent
from harness.host.downloaded import downloaded
from harness.kernel import debian_binary
from harness.kernel.debian_binary import DebianKernel, obtain_debian, parse_debian

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.host.debian import Deb, DebSet


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
        return ()

    monkeypatch.setattr(debian_binary, "fetch_chosen", fetch)
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
    with pytest.raises(ArtifactError, match="0 files vmlinuz"):
        obtain_debian(parse_debian(argument), tmp_path, Silent())
    assert fetched == [(suite, packages)]
    assert not [path for path in (tmp_path / "builds").iterdir() if path.is_dir()]


@pytest.mark.parametrize("argument", ["debian:6.19.1", "debian:7.2.13", "debian:6.18.15-rt"])
def test_a_release_that_no_suite_has(
    tmp_path: Path, fetched: list[tuple[str, tuple[str, ...]]], argument: str
) -> None:
    with pytest.raises(BaseGoneError, match=f"base gone: {re.escape(argument)} "):
        obtain_debian(parse_debian(argument), tmp_path, Silent())
    assert fetched == []


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


@pytest.mark.parametrize("argument", ["debian:", "debian:7", "debian:sid", "debian:7.3.4-x"])
def test_no_kernel_of_debian(argument: str) -> None:
    with pytest.raises(UsageError, match="names no kernel of Debian"):
        parse_debian(argument)


def test_name() -> None:
    assert parse_debian("debian:6.12.118-rt") == DebianKernel("6.12.118", "rt")
    assert parse_debian("debian:6.12.118-rt").name == "debian:6.12.118-rt"
