# SPDX-License-Identifier: MIT
"""Entries of the cache: directories that are made once for each key.

An entry is made in a temporary directory beside its place, under a file lock, and published by one
rename: a reader sees a whole entry or none, and two runs that share a cache make it once. The
temporary directory of a killed run is removed by the next one that holds the lock.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.core.disk import disk_full_as_error
from harness.core.file_lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.core.progress import Progress


class Store:
    """The entries of one kind, in ``root / kind``."""

    def __init__(self, root: Path, kind: str, progress: Progress) -> None:
        self.directory = root / kind
        self._progress = progress
        self.directory.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return the path that the entry ``key`` has, or would have."""
        return self.directory / key

    def obtain(self, key: str, make: Callable[[Path], None]) -> Path:
        """Return the directory of ``key``; a missing one is created and filled by ``make``.

        An exception of ``make`` is passed on, with the unfinished entry removed. Raises
        DiskFullError.
        """
        final = self.path(key)
        if final.is_dir():
            return final
        waiting = f"another run is making {self.directory.name}/{key}; waiting for it"
        with locked(self.directory / f"{key}.lock", waiting, self._progress):
            if not final.is_dir():
                self._make(final, make)
        return final

    def _make(self, final: Path, make: Callable[[Path], None]) -> None:
        half = self.directory / f".{final.name}.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        try:
            with disk_full_as_error(self.directory):
                make(half)
                half.rename(final)
        finally:
            shutil.rmtree(half, ignore_errors=True)
