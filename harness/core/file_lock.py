# SPDX-License-Identifier: MIT
"""A lock between processes, on a file: what one run makes, another waits for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.core.progress import Progress


@contextlib.contextmanager
def locked(path: Path, waiting: str, progress: Progress) -> Iterator[None]:
    """Hold the file lock ``path``; if another process has it, announce ``waiting`` and wait.

    There is no time limit: the kernel releases the lock (flock(2)) when its holder ends, however
    it ends, and a queue of kernel builds may take hours.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.step(waiting)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def free(path: Path) -> Iterator[bool]:
    """Hold the file lock ``path`` if no other process does, and tell whether that is so."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
