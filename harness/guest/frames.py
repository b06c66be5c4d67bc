# SPDX-License-Identifier: MIT
"""The page frames behind a process's addresses, from the guest's /proc/PID/pagemap."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.core.errors import UsageError
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.guest.ssh import Completed
    from harness.vm.dram import Dram

T = TypeVar("T")
TRIES = 5


@dataclass(frozen=True)
class PageFrame:
    """A page of a process: frame number and /proc/kpageflags entry; None if not in memory."""

    address: int
    pfn: int | None
    flags: int | None

    @classmethod
    def parse(cls, line: str) -> PageFrame:
        """Return the frame that a line of guest/programs/frames.c describes."""
        address, pfn, flags = line.split()
        if pfn == "-":
            return cls(int(address, 16), None, None)
        return cls(int(address, 16), int(pfn, 16), int(flags, 16))


def read_frames(
    run: Callable[[str], Completed], pid: int, address: int, pages: int
) -> list[PageFrame]:
    """Return the frames behind ``pages`` pages of a process, from ``address`` on.

    ``run`` runs a shell line in the guest. Raise UsageError without such a process.
    """
    done = run(shlex.join(["frames", str(pid), hex(address), str(pages)]))
    if done.status != 0:
        raise UsageError(f"process {pid} of the guest has no pagemap: {done.stdout.strip()}")
    return [PageFrame.parse(line) for line in done.stdout.splitlines()]


def read_memory(
    run: Callable[[str], Completed], dram: Dram, pid: int, address: int, length: int
) -> bytes:
    """Return memory of a process, read on the host from DRAM.

    Raise UsageError where a page of it is not in memory.
    """
    start = address % PAGE
    pages = (start + length + PAGE - 1) // PAGE

    def look(frames: list[PageFrame]) -> bytes:
        return b"".join(dram.read(present(frame, pid) * PAGE, PAGE) for frame in frames)

    _, data = settled(run, pid, address, pages, look)
    return data[start : start + length]


def present(frame: PageFrame, pid: int) -> int:
    """Return the page frame number. Raise UsageError where the page is not in memory."""
    if frame.pfn is None:
        raise UsageError(f"page {frame.address:#x} of process {pid} is not in memory")
    return frame.pfn


def settled(
    run: Callable[[str], Completed],
    pid: int,
    address: int,
    pages: int,
    look: Callable[[list[PageFrame]], T],
) -> tuple[list[PageFrame], T]:
    """Return frames, and what ``look`` found in them while they held these pages.

    The guest runs and may migrate a page between the two: look again then. Raise
    UsageError if a page moves each of ``TRIES`` times.
    """
    frames = read_frames(run, pid, address, pages)
    for _ in range(TRIES):
        found = look(frames)
        now = read_frames(run, pid, address, pages)
        if [frame.pfn for frame in now] == [frame.pfn for frame in frames]:
            return frames, found
        frames = now
    raise UsageError(f"the pages of process {pid} at {address:#x} do not stay in place")
