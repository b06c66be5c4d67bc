# SPDX-License-Identifier: MIT
"""The DRAM of a guest whose tags lie in it: one file that QEMU and this process share.

The file has no name, so that nothing is left behind however this process ends. QEMU maps
it as the guest's DRAM and, a second time, as the memory of its tags (tags_in_dram.c); the
host reads and writes both while the guest runs. Where the tags are kept outside DRAM they
cannot be seen from the host, and there is no such object.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from typing import TYPE_CHECKING, Self

import numpy as np

from harness.core.disk import disk_full_as_error
from harness.core.errors import ArtifactError, UsageError
from harness.vm.geometry import DRAM_BASE, PAGE, PAGE_STORAGE, storage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from harness.core.progress import Progress
    from harness.vm.geometry import TagRegion

# Memory that the host keeps for itself beside the guests' DRAM.
SPARE = 512 * 1024 * 1024


def available_memory() -> int:
    """Return the bytes that the host can give without swapping (proc(5), MemAvailable)."""
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def unpack(storage: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the tags in storage bytes, one a byte: the low nibble is the lower granule's.

    The last axis becomes twice as long.
    """
    return np.stack((storage & 15, storage >> 4), axis=-1).reshape(*storage.shape[:-1], -1)


class Dram(contextlib.AbstractContextManager["Dram"]):
    """``size`` bytes of DRAM, of which ``regions`` say where the tags lie.

    ``fd`` is the descriptor of a file of that size, which the object owns from then on;
    ``view`` is a shared, writable mapping of the whole file. Addresses are guest-physical,
    frames are PFNs.
    """

    def __init__(self, fd: int, size: int, regions: Sequence[TagRegion]) -> None:
        self.fd = fd
        self.size = size
        self.regions = tuple(regions)
        try:
            self.view = mmap.mmap(fd, size)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def create(
        cls, size: int, regions: Sequence[TagRegion], scratch: Path, progress: Progress
    ) -> Self:
        """Return new, zeroed DRAM: a memfd, or an unnamed file in ``scratch``.

        The file is used where less than ``size`` bytes of memory are free.
        """
        if available_memory() >= size + SPARE:
            fd = os.memfd_create("mte-dram")
        else:
            progress.step(f"little memory is free: the guest's DRAM is a file in {scratch}")
            fd = os.open(scratch, os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            # QEMU opens it by its descriptor, maybe as another user. Nobody else can: no name.
            os.fchmod(fd, 0o666)
            os.truncate(fd, size)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, size, regions)

    @property
    def path(self) -> str:
        """The path that QEMU opens, once it has inherited ``fd``."""
        return f"/proc/self/fd/{self.fd}"

    @property
    def inode(self) -> tuple[int, int]:
        """Device and inode number, as /proc/PID/maps shows them."""
        info = os.fstat(self.fd)
        return info.st_dev, info.st_ino

    @property
    def frames(self) -> range:
        """All page frame numbers of DRAM."""
        return range(DRAM_BASE // PAGE, (DRAM_BASE + self.size) // PAGE)

    def read(self, address: int, length: int) -> bytes:
        """Return ``length`` bytes from ``address`` on. Raise UsageError outside DRAM."""
        at = self._offset(address, length)
        return self.view[at : at + length]

    def write(self, address: int, data: bytes) -> None:
        """Write ``data`` unseen by the guest, as a stray DMA would. Raise as `read` does."""
        at = self._offset(address, len(data))
        self.view[at : at + len(data)] = data

    def _offset(self, address: int, length: int) -> int:
        at = address - DRAM_BASE
        if at < 0 or length < 0 or at + length > self.size:
            raise UsageError(f"{address:#x} and {length} bytes on are not in DRAM")
        return at

    def storage_address(self, pfn: int) -> int:
        """Return the physical address of the 128 bytes of tag storage of a page frame."""
        return storage_of(self.regions, pfn * PAGE)

    def storage(self, pfn: int) -> bytes:
        """Return the 128 bytes of tag storage of a page frame."""
        return self.read(self.storage_address(pfn), PAGE_STORAGE)

    def tags(self, pfn: int) -> bytes:
        """Return the 256 tags of a page frame, one a byte, each 0 to 15."""
        return unpack(np.frombuffer(self.storage(pfn), np.uint8)).tobytes()

    def tags_of(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return a copy of the storage bytes of n page frames: shape (n, 128)."""
        wanted = (self.storage_addresses(pfns) - DRAM_BASE) // PAGE_STORAGE
        rows = np.frombuffer(self.view, np.uint8).reshape(-1, PAGE_STORAGE)
        found: npt.NDArray[np.uint8] = rows[wanted]  # copied: a view would keep the mapping open
        return found

    def storage_addresses(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the physical address of the tag storage of each page frame.

        Raise UsageError for a frame that has no tags.
        """
        found = np.full(pfns.shape, -1, np.int64)
        for region in self.regions:
            inside = (pfns * PAGE >= region.base) & (pfns * PAGE < region.end)
            found[inside] = region.storage_of(pfns[inside] * PAGE)
        if (found < 0).any():
            raise UsageError(f"{int(pfns[found < 0][0]):#x} is not the frame of a tagged page")
        return found

    def storage_frames(self) -> frozenset[int]:
        """Return the page frames that are tag storage."""
        return frozenset(
            pfn for r in self.regions for pfn in range(r.storage // PAGE, r.storage_end // PAGE)
        )

    def load(self, path: Path) -> None:
        """Fill DRAM from a saved file, whose holes stay zero.

        Raise ArtifactError if the file is truncated.
        """
        source = os.open(path, os.O_RDONLY)
        try:
            if os.fstat(source).st_size != self.size:
                raise _truncated(path)
            with memoryview(self.view) as view:
                for start, end in extents(source, self.size):
                    at = start
                    while at < end:
                        with view[at:end] as part:
                            count = os.preadv(source, [part], at)
                        if count == 0:  # the file shrank since fstat()
                            raise _truncated(path)
                        at += count
        finally:
            os.close(source)

    def save(self, path: Path) -> None:
        """Write DRAM to a new, sparse file. Raise DiskFullError where there is no room."""
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with disk_full_as_error(path.parent):
                self._write_extents(target)
        finally:
            os.close(target)

    def _write_extents(self, target: int) -> None:
        os.truncate(target, self.size)
        with memoryview(self.view) as view:
            for start, end in extents(self.fd, self.size):
                at = start
                while at < end:
                    with view[at:end] as part:
                        at += os.pwrite(target, part, at)

    def close(self) -> None:
        """Free the memory, once QEMU has ended; a second call does nothing."""
        if self.fd >= 0:
            # A live traceback may hold a slice of the mapping, which then goes with it.
            with contextlib.suppress(BufferError):
                self.view.close()
            os.close(self.fd)
            self.fd = -1

    def __exit__(self, *_: object) -> None:
        self.close()


def _truncated(path: Path) -> ArtifactError:
    entry = path.parent
    return ArtifactError(
        f"the saved guest {path} is truncated",
        f"the next run makes it again: mte-harness clean {entry.parent.name}/{entry.name}",
    )


def extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a sparse file that hold data, as (start, end)."""
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
