# SPDX-License-Identifier: MIT
"""Kernel sources from Debian's packages, and what differs between releases."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError, NetworkError, NoSuchPackageError, SourceError
from harness.core.keys import file_digest
from harness.core.progress import Silent
from harness.host.debian import Deb, DebSet
from harness.kernel import debian_source
from harness.kernel.debian_source import obtain_tarball
from harness.kernel.releases import parse_release, release_of, symbols_lacking

if TYPE_CHECKING:
    from pathlib import Path

NAME = "linux-source-7.3"


def package(directory: Path) -> Deb:
    """Return a package as Debian's, with a tarball of a few bytes."""
    tree = directory / "tree"
    (tree / "usr/src").mkdir(parents=True)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        f"Package: {NAME}\nVersion: 7.3.4-1\nArchitecture: all\nMaintainer: x <x@x>\n"
        "Description: x\n"
    )
    (tree / "usr/src" / f"{NAME}.tar.xz").write_bytes(b"source")
    path = directory / "source.deb"
    subprocess.run(["dpkg-deb", "--build", "-Znone", str(tree), str(path)], check=True)
    return Deb(NAME, "7.3.4-1", "http://x", file_digest(path), path.stat().st_size, path)


def test_the_tarball_is_taken_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = package(tmp_path)
    asked: list[DebSet] = []

    def fetch(wanted: DebSet, *_: object) -> tuple[Deb, ...]:
        asked.append(wanted)
        return (deb,)

    monkeypatch.setattr(debian_source, "fetch", fetch)
    cache = tmp_path / "cache"
    tarball = obtain_tarball(NAME, "", cache, Silent())
    assert tarball.read_bytes() == b"source"
    assert asked == [DebSet("trixie-backports", "arm64", (NAME,), dependencies=False)]
    deb.path.write_bytes(b"not read again")
    assert obtain_tarball(NAME, "", cache, Silent()) == tarball


def test_suites_are_tried_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(wanted: DebSet, *_: object) -> tuple[Deb, ...]:
        asked.append(wanted.suite)
        raise NoSuchPackageError(f"{wanted.suite} has no such package")

    monkeypatch.setattr(debian_source, "fetch", fetch)
    with pytest.raises(SourceError, match=r"no suite of Debian has linux-source-6\.12") as caught:
        obtain_tarball("linux-source-6.12", "", tmp_path, Silent())
    assert asked == ["bookworm", "trixie"]
    assert "trixie has no such package" in caught.value.details


def test_a_point_release_is_asked_for_by_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(wanted: DebSet, *_: object) -> tuple[Deb, ...]:
        raise NoSuchPackageError(f"has no {wanted.packages[0]}")

    monkeypatch.setattr(debian_source, "fetch", fetch)
    with pytest.raises(SourceError, match=r"has linux-source-7\.3=7\.3\.9") as caught:
        obtain_tarball(NAME, "7.3.9", tmp_path, Silent())
    assert caught.value.details == "has no linux-source-7.3=7.3.9-*"


def test_a_mirror_that_does_not_answer_is_no_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object) -> tuple[Deb, ...]:
        raise NetworkError("timed out")

    monkeypatch.setattr(debian_source, "fetch", fetch)
    with pytest.raises(NetworkError):
        obtain_tarball("linux-source-6.12", "", tmp_path, Silent())


def test_a_damaged_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = package(tmp_path)
    deb.path.write_bytes(deb.path.read_bytes()[:200])
    monkeypatch.setattr(debian_source, "fetch", lambda *_: (deb,))
    with pytest.raises(ArtifactError, match="does not unpack"):
        obtain_tarball(NAME, "", tmp_path / "cache", Silent())
    assert not list((tmp_path / "cache/tarballs").glob("*/*"))


def test_release_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n")
    assert release_of(tmp_path) == (7, 3)
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(SourceError, match="Makefile has no VERSION"):
        release_of(tmp_path)


def test_symbols_that_releases_lack() -> None:
    assert "PROC_SYSCTL" not in symbols_lacking((6, 12))
    assert "PROC_SYSCTL" in symbols_lacking((7, 3))
    assert "NUMA_MIGRATION" in symbols_lacking((6, 12))
    assert "NUMA_MIGRATION" not in symbols_lacking((7, 10))


@pytest.mark.parametrize(
    ("text", "release"),
    [("7.3", (7, 3)), ("7.3.4-1~bpo13+1", (7, 3)), ("6.12.117", (6, 12)), ("6.1-rc3", (6, 1))],
)
def test_releases(text: str, release: tuple[int, int]) -> None:
    assert parse_release(text) == release


@pytest.mark.parametrize("text", ["", "7", "v7.3", "linux"])
def test_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="is no kernel release"):
        parse_release(text)
