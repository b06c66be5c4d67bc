# SPDX-License-Identifier: MIT
"""Directories of the cache that are made once for each key.

Each is made in a temporary directory beside its place, under a file lock, and
published by one rename: a reader sees a whole entry or none, and two runs on
one cache make it once. What a killed run left half-made is swept by the next
one that holds the lock.
"""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.core.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.core.progress import Progress

LOCK_SECONDS = 3600.0


class Store:
    """Entries of one kind, in ``root / kind``."""

    def __init__(self, root: Path, kind: str, progress: Progress) -> None:
        self.directory = root / kind
        self._progress = progress
        self.directory.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Where the entry ``key`` is, or would be."""
        return self.directory / key

    def obtain(self, key: str, make: Callable[[Path], None]) -> Path:
        """The directory of ``key``; ``make(directory)`` fills a new one when it is missing.

        Whatever ``make`` raises passes through, and nothing stays behind;
        a full disk becomes DiskFullError.
        """
        final = self.path(key)
        if final.is_dir():
            return final
        lock = FileLock(self.directory / f"{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._progress.step(f"waiting for another run that makes {final.name}")
            lock.acquire(timeout=LOCK_SECONDS)
        try:
            if not final.is_dir():
                self._make(final, make)
        finally:
            lock.release()
        return final

    def _make(self, final: Path, make: Callable[[Path], None]) -> None:
        half = self.directory / f".{final.name}.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        try:
            make(half)
            half.rename(final)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DiskFullError(
                f"the disk is full: {self.directory}",
                "mte-harness clean, or set MTE_HARNESS_CACHE to a larger disk",
            ) from error
        finally:
            shutil.rmtree(half, ignore_errors=True)
