# SPDX-License-Identifier: MIT
"""The directory in which a kernel is built, and what a killed build left in it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.core.disk import disk_full, disk_full_as_error, reports_disk_full
from harness.core.file_lock import locked
from harness.core.run_logged import GRACE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.core.progress import Progress


@contextlib.contextmanager
def build_place(cache: Path, progress: Progress) -> Iterator[Path]:
    """Hold the build directory of ``cache``, which is empty when it is yielded.

    One build runs at a time, since two would only share the CPUs. What a killed build left is
    removed first. Raise DiskFullError for a disk that fills up inside the block.
    """
    place = cache / "work"
    waiting = "another run is building a kernel; waiting for it"
    with locked(cache / "work.lock", waiting, progress):
        shutil.rmtree(place, ignore_errors=True)
        try:
            with disk_full_as_error(cache):
                place.mkdir()
                yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def sweep_build(cache: Path) -> None:
    """Remove what a killed build left, unless another run is building now.

    The make of a killed run gets SIGTERM from setpriv(1) and may still write for a moment, so the
    removal is repeated until the directory stays away, for GRACE_S seconds at most.
    """
    place = cache / "work"
    end = time.monotonic() + GRACE_S
    with contextlib.suppress(Timeout), FileLock(cache / "work.lock", timeout=0):
        while place.is_dir() and time.monotonic() < end:
            shutil.rmtree(place, ignore_errors=True)
            time.sleep(0.1)


def link_tree(base: Path, tree: Path) -> None:
    """Make ``tree`` a copy of ``base`` by hard links: 2 s, where unpacking takes 20.

    The shared files stay as they are: git-apply(1) replaces files and never writes into them, and
    kbuild writes into an object directory of its own. Raise DiskFullError.
    """
    done = subprocess.run(
        ["cp", "-al", str(base), str(tree)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        if reports_disk_full(done.stderr):
            raise disk_full(tree)
        raise OSError(done.stderr)
