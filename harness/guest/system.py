# SPDX-License-Identifier: MIT
"""A running system under test, whatever it runs on: what a program needs to be run and judged."""

from __future__ import annotations

import abc
import base64
import gzip
import shlex
from typing import TYPE_CHECKING, Protocol, Self

from harness.core.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.core.limits import Limits
    from harness.guest.ssh import Completed, SshError
    from harness.guest.testbed import Testbed
    from harness.vm.cpu_share import CpuTime

WORKDIR = "/tmp"


class KernelLog(Protocol):
    """What the kernel has printed since the system was there."""

    def text(self) -> str:
        """Return all of it."""


class System(abc.ABC):
    """A clone (`Guest`), or a visit to a board (`Visit`); it ends with the ``with`` block.

    ``clone_seconds``: until commands could be run. ``limits`` are scaled for its kernel.
    ``used``: something has run in it already. ``tidy``: a shell line that removes what a probe
    may leave behind by design: swap areas, zram, files, settings. The rest of the memory must be
    free again without help. ``note`` says of each verdict what is not as in a fresh clone.
    """

    template: Testbed
    limits: Limits
    clone_seconds: float
    used: bool
    tidy: str
    note: str = ""

    @property
    @abc.abstractmethod
    def console(self) -> KernelLog:
        """The kernel's log since the system was there."""

    @abc.abstractmethod
    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        phase: str = "",
        stream: Callable[[str, bytes], None] | None = None,
    ) -> Completed:
        """Run a shell line, or a list of words, as root in ``/tmp``.

        ``timeout`` in seconds (``limits.exec`` if None); a command that outlives it has
        status None. ``stream`` gets each piece of output as it comes. Raise GuestLostError,
        which names ``phase``, when the system stops answering and its kernel is at fault.
        """

    @abc.abstractmethod
    def push_line(self, data: bytes | Path, remote: str, *, mode: int = 0o755) -> str:
        """Return the shell line that writes a file, whose content the system has already."""

    @abc.abstractmethod
    def cpu_times(self) -> Mapping[int, CpuTime]:
        """Return the CPU time of this host that each thread of an emulator has had."""

    @abc.abstractmethod
    def lost(self, why: SshError, phase: str) -> HarnessError:
        """Return the error for a system that does not answer: the kernel's fault, or another's."""

    @abc.abstractmethod
    def suspect(self) -> None:
        """Note that a test on it failed: what comes after it may suffer from that."""

    @abc.abstractmethod
    def close(self) -> None:
        """End it; a second call does nothing."""

    def push(self, data: bytes | Path, remote: str, *, mode: int = 0o755) -> None:
        """Write a file in the system. ``remote`` is absolute or relative to ``/tmp``."""
        done = self.exec(self.push_line(data, remote, mode=mode), phase=f"pushing {remote}")
        if done.status != 0:
            raise HarnessError(f"cannot write {remote} in the guest: {done.stderr.strip()}")

    def pull(self, remote: str, *, timeout: float | None = None) -> bytes:
        """Return a file's contents (packed, at most a few MiB)."""
        packed = "/run/pulled"
        done = self.exec(
            f"gzip -c {shlex.quote(remote)} > {packed} && base64 {packed}; "
            f"status=$?; rm -f {packed}; exit $status",
            timeout=timeout,
        )
        if done.status != 0:
            why = "it is too large" if done.overflow else done.stderr.strip() or "no end"
            raise HarnessError(f"cannot read {remote} in the guest: {why}")
        return gzip.decompress(base64.b64decode(done.stdout))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
