# SPDX-License-Identifier: MIT
"""What differs between kernel releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import SourceError
from harness.kernel.releases import parse_release, release_of, symbols_lacking

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("release", "may", "must"),
    [
        ((6, 1), "PTE_MARKER_UFFD_WP", "BASE_FULL"),
        ((6, 6), "BASE_FULL", "ZBUD"),
        ((6, 12), "BASE_FULL", "ZBUD"),
        ((6, 15), "ZBUD", "ARM64_PAN"),
        ((6, 18), "ZBUD", "ARM64_LSE_ATOMICS"),
        ((7, 0), "ARM64_LSE_ATOMICS", "PROC_SYSCTL"),
        ((7, 0), "NUMA_MIGRATION", "PROC_SYSCTL"),
        ((7, 2), "ARM64_PAN", "NUMA_MIGRATION"),
        ((7, 3), "PROC_SYSCTL", "NUMA_MIGRATION"),
        ((8, 0), "ZBUD", "ARM64_CONTPTE"),
    ],
)
def test_a_release_between_two_that_were_read(
    release: tuple[int, int], may: str, must: str
) -> None:
    """Where they differ in a symbol, it may have it or not."""
    assert may in symbols_lacking(release)
    assert must not in symbols_lacking(release)
