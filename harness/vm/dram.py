# SPDX-License-Identifier: MIT
"""A guest's DRAM as a file without a name, shared by QEMU and this process."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from typing import TYPE_CHECKING, Self

from harness.core.closing import Closing
from harness.core.errors import ArtifactError, DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.core.progress import Progress

# What the host must have left beside the guests' memory.
SPARE = 512 * 1024 * 1024


def _available() -> int:
    """Bytes that can be had without swapping (proc(5), MemAvailable)."""
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


class Ram(Closing):
    """``size`` bytes of DRAM; ``view`` is a shared, writable mapping of all of it.

    Takes over the descriptor ``fd`` of a file of that size.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        try:
            self.view = mmap.mmap(fd, size)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def create(cls, size: int, scratch: Path, progress: Progress) -> Self:
        """New, zeroed DRAM: memory (a memfd), or an unnamed file in ``scratch`` where there
        is too little. Either way nothing is left behind, whatever ends this process.
        """
        if _available() >= size + SPARE:
            fd = os.memfd_create("mte-dram")
        else:
            progress.step(f"little memory is free: the guest's DRAM is a file in {scratch}")
            fd = os.open(scratch, os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            os.truncate(fd, size)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, size)

    @property
    def path(self) -> str:
        """What QEMU opens, once it has inherited ``fd``."""
        return f"/proc/self/fd/{self.fd}"

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode number, as /proc/PID/maps shows them."""
        info = os.fstat(self.fd)
        return info.st_dev, info.st_ino

    def load(self, path: Path) -> None:
        """Fills DRAM from a saved file; its holes stay zero. ArtifactError if it is damaged."""
        source = os.open(path, os.O_RDONLY)
        try:
            if os.fstat(source).st_size != self.size:
                raise _damaged(path)
            with memoryview(self.view) as view:
                for start, end in _extents(source, self.size):
                    at = start
                    while at < end:
                        with view[at:end] as part:
                            count = os.preadv(source, [part], at)
                        if count == 0:  # it shrank meanwhile
                            raise _damaged(path)
                        at += count
        finally:
            os.close(source)

    def save(self, path: Path) -> None:
        """Writes DRAM to a sparse file. DiskFullError when there is no room."""
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.truncate(target, self.size)
            with memoryview(self.view) as view:
                for start, end in _extents(self.fd, self.size):
                    at = start
                    while at < end:
                        with view[at:end] as part:
                            at += os.pwrite(target, part, at)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DiskFullError(
                f"the disk is full: {path.parent}",
                "mte-harness clean, or set MTE_HARNESS_CACHE to a larger disk",
            ) from error
        finally:
            os.close(target)

    def close(self) -> None:
        """Frees it, once QEMU has ended; more than once is fine."""
        if self.fd >= 0:
            # What an exception's traceback still refers to is unmapped with it.
            with contextlib.suppress(BufferError):
                self.view.close()
            os.close(self.fd)
            self.fd = -1


def _damaged(path: Path) -> ArtifactError:
    return ArtifactError(
        f"the saved guest {path} is truncated",
        f"remove the entry, it is made again: mte-harness clean templates/{path.parent.name}",
    )


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """The stretches of a sparse file that hold data, as (start, end)."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at
