# SPDX-License-Identifier: MIT
"""Which packages are a kernel that Debian built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError, SourceError, UsageError
from harness.core.progress import Silent
from harness.kernel import debian_binary
from harness.kernel.debian_binary import DebianKernel, obtain_debian, parse_debian

if TYPE_CHECKING:
    from pathlib import Path

    from harness.host.debian import Deb, DebSet

BACKPORTS = frozenset({
    "linux-binary-7.3.4+deb13-arm64", "linux-image-7.3.4+deb13-arm64",
    "linux-binary-7.3.4+deb13-cloud-arm64", "linux-binary-7.3.4+deb13-arm64-16k",
    "linux-binary-7.3.4+deb13-rt-arm64", "linux-binary-7.3.4+deb13-arm64-dbg",
    "linux-binary-7.2.9+deb13-arm64", "linux-binary-7.2.12+deb13-arm64",
    "linux-image-6.18.15+deb13-arm64", "linux-image-6.18.15+deb13-arm64-unsigned",
    "linux-image-arm64",
})  # fmt: skip
STABLE = frozenset({"linux-image-6.12.118+deb13-arm64", "linux-image-6.12.118+deb13-rt-arm64"})


def three(end: str) -> tuple[str, ...]:
    return tuple(f"linux-{part}-{end}" for part in ("binary", "modules", "base"))


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[DebSet]:
    """Return what is fetched; a suite has the names above."""
    asked: list[DebSet] = []
    suites = {"trixie-backports": BACKPORTS, "trixie": STABLE}

    def fetch(wanted: DebSet, *_: object) -> tuple[Deb, ...]:
        asked.append(wanted)
        return ()

    monkeypatch.setattr(
        debian_binary, "names_in", lambda wanted, *_: suites.get(wanted.suite, frozenset())
    )
    monkeypatch.setattr(debian_binary, "fetch", fetch)
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
    fetched: list[DebSet],
    argument: str,
    suite: str,
    packages: tuple[str, ...],
) -> None:
    with pytest.raises(ArtifactError, match="0 files vmlinuz"):
        obtain_debian(parse_debian(argument), tmp_path, Silent())
    (wanted,) = fetched
    assert (wanted.suite, wanted.packages, wanted.dependencies) == (suite, packages, False)
    assert not [path for path in (tmp_path / "builds").iterdir() if path.is_dir()]


def test_a_release_that_no_suite_has(tmp_path: Path, fetched: list[DebSet]) -> None:
    with pytest.raises(SourceError, match=r"no suite of Debian has debian:6\.19\.1"):
        obtain_debian(parse_debian("debian:6.19.1"), tmp_path, Silent())
    assert fetched == []


@pytest.mark.parametrize("argument", ["debian:", "debian:7", "debian:sid", "debian:7.3.4-x"])
def test_no_kernel_of_debian(argument: str) -> None:
    with pytest.raises(UsageError, match="names no kernel of Debian"):
        parse_debian(argument)


def test_name() -> None:
    assert parse_debian("debian:6.12.118-rt") == DebianKernel("6.12.118", "rt")
    assert parse_debian("debian:6.12.118-rt").name == "debian:6.12.118-rt"
