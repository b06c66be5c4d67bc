# SPDX-License-Identifier: MIT
"""From a process's addresses to page frames, by the guest's own page tables."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.core.errors import UsageError
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.guest.ssh import Completed
    from harness.vm.dram_view import Dram


T = TypeVar("T")
TRIES = 5


@dataclass(frozen=True)
class Frame:
    """A page of a process: its frame and /proc/kpageflags entry; None if not in memory."""

    address: int
    pfn: int | None
    flags: int | None

    @classmethod
    def parse(cls, line: str) -> Frame:
        """From a line of guest/programs/frames.c."""
        address, pfn, flags = line.split()
        if pfn == "-":
            return cls(int(address, 16), None, None)
        return cls(int(address, 16), int(pfn, 16), int(flags, 16))


def read_frames(run: Callable[[str], Completed], pid: int, address: int, pages: int) -> list[Frame]:
    """The frames behind ``pages`` pages of a process, from ``address`` on.

    ``run`` runs a line in the guest. UsageError without such a process.
    """
    done = run(shlex.join(["frames", str(pid), hex(address), str(pages)]))
    if done.status != 0:
        raise UsageError(f"process {pid} of the guest has no pagemap: {done.stdout.strip()}")
    return [Frame.parse(line) for line in done.stdout.splitlines()]


def read_memory(
    run: Callable[[str], Completed], dram: Dram, pid: int, address: int, length: int
) -> bytes:
    """Memory of a process, read on the host out of DRAM. UsageError if it is not there."""
    start = address % PAGE
    pages = (start + length + PAGE - 1) // PAGE

    def look(frames: list[Frame]) -> bytes:
        return b"".join(dram.read(present(frame, pid) * PAGE, PAGE) for frame in frames)

    _, data = settled(run, pid, address, pages, look)
    return data[start : start + length]


def present(frame: Frame, pid: int) -> int:
    """The page frame number. UsageError where the page is not in memory."""
    if frame.pfn is None:
        raise UsageError(f"page {frame.address:#x} of process {pid} is not in memory")
    return frame.pfn


def settled(
    run: Callable[[str], Completed],
    pid: int,
    address: int,
    pages: int,
    look: Callable[[list[Frame]], T],
) -> tuple[list[Frame], T]:
    """Frames, and what ``look`` saw in them while the pages were still there.

    The guest runs meanwhile, and may move a page between the two. UsageError if it
    does so time and again.
    """
    frames = read_frames(run, pid, address, pages)
    for _ in range(TRIES):
        seen = look(frames)
        now = read_frames(run, pid, address, pages)
        if [frame.pfn for frame in now] == [frame.pfn for frame in frames]:
            return frames, seen
        frames = now
    raise UsageError(f"the pages of process {pid} at {address:#x} do not stay in place")
