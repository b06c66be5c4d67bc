# SPDX-License-Identifier: MIT
"""A size limit for results and cache: what is oldest, and what no kernel of the night needs, goes.

First go the reports of earlier nights (the records, which are small and the truth, stay), then
entries of the cache that can be made again. An entry that was used within a day stays, since
another run may be at work with it, and so does every kernel of this night.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.amounts import in_gib
from harness.core.file_lock import free
from harness.history.night import RECORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.history.night import Run

# Directories of the cache whose entries are made once for each key (core/store.py).
KINDS = ("builds", "templates", "images", "programs", "selftests", "symbols", "sources")
UNUSED_S = 24 * 3600.0


@dataclass(frozen=True)
class Room:
    """What was removed to keep a limit, and the bytes that are left."""

    limit: int
    removed: tuple[Path, ...]
    left: int

    def __str__(self) -> str:
        """Return what to tell a person, a line each; nothing where nothing had to go."""
        lines = [f"removed {path}" for path in self.removed]
        if self.left > self.limit:
            lines.append(
                f"{in_gib(self.left)} are left, more than the limit of {in_gib(self.limit)}: what "
                "is left was used within a day, or is needed"
            )
        return "".join(f"{line}\n" for line in lines)


def make_room(
    limit: int, cache: Path, results: Path | None = None, runs: Sequence[Run] = ()
) -> Room:
    """Remove the oldest until cache and results take at most ``limit`` bytes; return what went.

    ``results`` are those of nights, of which ``runs`` were the last.
    """
    needed = {kernel.key for run in runs for kernel in run.kernels}
    tonight = {run.night for run in runs}
    size = tree_size(cache) + (tree_size(results) if results else 0)
    reports = _reports(results, tonight) if results else ()
    removed: list[Path] = []
    for path in (*reports, *_entries(cache, needed)):
        if size <= limit:
            break
        freed = tree_size(path)
        with contextlib.suppress(OSError):  # another run removes it, or it is not ours to remove
            _remove(path, cache)
        if not path.exists():
            size -= freed
            removed.append(path)
    return Room(limit, tuple(removed), size)


def tree_size(path: Path) -> int:
    """Return the bytes that a directory takes on the disk; sparse files take what they hold."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += Path(directory, name).lstat().st_blocks * 512
            except FileNotFoundError:  # another run is at work
                continue
    return total


def _reports(results: Path, tonight: set[str]) -> Iterator[Path]:
    """Yield the report directories of earlier nights, the oldest first."""
    for night in sorted(results.glob("nights/*")):
        if night.name not in tonight:
            yield from (path for path in sorted(night.iterdir()) if _is_report(path))


def _is_report(path: Path) -> bool:
    return path.is_dir() and path.name != RECORDS


def _entries(cache: Path, needed: Iterable[str]) -> list[Path]:
    """Return the entries that nothing has used for a day, the oldest first, and none needed."""
    now = time.time()
    found = [
        (used, path)
        for kind in KINDS
        for path in (cache / kind).glob("[!.]*")
        if path.is_dir() and path.name not in needed and now - (used := _last_use(path)) > UNUSED_S
    ]
    return [path for _, path in sorted(found)]


def _last_use(path: Path) -> float:
    """Return when a file of an entry was last read or written; now if it is being removed.

    The times of the directories tell nothing: to look at them is a use.
    """
    try:
        files = [one.stat() for one in path.iterdir() if one.is_file()]
        return max((max(one.st_atime, one.st_mtime) for one in files), default=path.stat().st_mtime)
    except FileNotFoundError:
        return time.time()


def _remove(path: Path, cache: Path) -> None:
    """Remove a report, or an entry of the cache unless another run holds the lock on it."""
    if not path.is_relative_to(cache):
        shutil.rmtree(path)
        return
    with free(path.with_name(f"{path.name}.lock")) as mine:
        if mine:
            shutil.rmtree(path)
