# SPDX-License-Identifier: MIT
"""Directories of the cache that are made once for each key.

Each is made in a temporary directory beside its place, under a file lock, and
published by one rename: a reader sees a whole entry or none, and two runs on
one cache make it once. What a killed run left half-made is swept by the next
one that holds the lock.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.core.disk import disk_full_as_error
from harness.core.lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.core.progress import Progress


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
        waiting = f"waiting for another run that makes {final.name}"
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
