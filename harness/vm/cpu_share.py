# SPDX-License-Identifier: MIT
"""What a guest has of this host's CPUs: a guest that gets none hangs, and its kernel does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Above this share of the time, a wait that ran out says nothing about the kernel: the limits leave
# a factor of three, and a guest that gets less than half of its CPU can use that up.
STARVED = 0.5
PATIENCE = 5  # how often a wait begins again, because the guest was starved in it


class CpuTime(NamedTuple):
    """The seconds that a thread has run on a CPU of this host, and has waited for one."""

    ran: float
    waited: float


class CpuWatch:
    """Watches QEMU's threads from now on; ``read`` gives the times of each thread by its id."""

    def __init__(self, read: Callable[[], Mapping[int, CpuTime]]) -> None:
        self._read = read
        self._before = read()
        self._started = time.monotonic()

    def busiest(self) -> CpuTime:
        """Return the most seconds that a thread ran, and the most that one waited."""
        none = CpuTime(0.0, 0.0)
        after = self._read()
        ran = (now.ran - self._before.get(thread, none).ran for thread, now in after.items())
        waited = (
            now.waited - self._before.get(thread, none).waited for thread, now in after.items()
        )
        return CpuTime(max(ran, default=0.0), max(waited, default=0.0))

    def waited(self) -> float:
        """Return the share of the time for which a thread waited: from 0 to 1."""
        seconds = time.monotonic() - self._started
        return self.busiest().waited / seconds if seconds else 0.0

    def starved(self) -> bool:
        """Return whether this host kept its CPUs from the guest."""
        return self.waited() > STARVED


def starved_error(what: str, details: str = "") -> HarnessError:
    """Return the error for a wait that ended because the guest got no CPU; the host's fault."""
    return HarnessError(
        f"this host is too busy, its guest waits for a CPU most of the time: {what}",
        "end other programs, or run fewer guests at once: -n 1",
        details,
    )
