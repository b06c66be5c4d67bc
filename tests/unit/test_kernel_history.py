# SPDX-License-Identifier: MIT
"""Old builds of an edited tree go, those in use stay."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from harness.kernel.history import KEEP, UNUSED_S, remember_build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    return tmp_path / "builds"


def made(builds: Path, name: str, age: float) -> Path:
    path = builds / name
    path.mkdir(parents=True)
    (path / "meta.json").write_text("{}")
    then = time.time() - age
    os.utime(path / "meta.json", (then, then))
    return path


def test_unused_builds_beyond_the_limit_go(home: Path, builds: Path) -> None:
    old = [made(builds, f"old{number}", 2 * UNUSED_S) for number in range(KEEP + 2)]
    removed = [path for build in old for path in remember_build(home, build)]
    assert removed == old[:2]
    assert [path.exists() for path in old] == [False] * 2 + [True] * KEEP


def test_what_was_used_today_stays(home: Path, builds: Path) -> None:
    fresh = [made(builds, f"new{number}", UNUSED_S / 2) for number in range(KEEP + 2)]
    assert [path for build in fresh for path in remember_build(home, build)] == []


def test_used_again_counts_as_newest(home: Path, builds: Path) -> None:
    old = [made(builds, f"old{number}", 2 * UNUSED_S) for number in range(KEEP + 1)]
    for build in [*old[:KEEP], old[0]]:
        remember_build(home, build)
    assert remember_build(home, old[KEEP]) == [old[1]]
