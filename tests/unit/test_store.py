# SPDX-License-Identifier: MIT
"""Entries are made once, published whole, and leave nothing when they fail."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import DiskFullError
from harness.core.progress import Silent
from harness.core.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.suffix != ".lock"}


def test_is_made_once(tmp_path: Path) -> None:
    store = Store(tmp_path, "things", Silent())
    made = []

    def make(directory: Path) -> None:
        made.append(directory)
        (directory / "file").write_text("content")

    first = store.obtain("key", make)
    assert (first / "file").read_text() == "content"
    assert store.obtain("key", make) == first
    assert len(made) == 1


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, "things", Silent())

    def make(directory: Path) -> None:
        (directory / "half").write_text("written")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.obtain("key", make)
    assert names(tmp_path / "things") == set()


def test_full_disk_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path, "things", Silent())

    def make(_directory: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFullError, match="the disk is full"):
        store.obtain("key", make)
    assert names(tmp_path / "things") == set()


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    store = Store(tmp_path, "things", Silent())
    left = tmp_path / "things" / ".key.new"
    left.mkdir()
    (left / "stale").write_text("half")
    entry = store.obtain("key", lambda directory: (directory / "new").touch())
    assert [path.name for path in entry.iterdir()] == ["new"]
    assert not left.exists()


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    made = []
    inside = threading.Event()

    def make(directory: Path) -> None:
        made.append(directory)
        inside.set()
        threading.Event().wait(0.3)

    def obtain() -> None:
        Store(tmp_path, "things", Silent()).obtain("key", make)

    threads = [threading.Thread(target=obtain) for _ in range(2)]
    threads[0].start()
    inside.wait(5)
    threads[1].start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1
