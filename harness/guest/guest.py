# SPDX-License-Identifier: MIT
"""A running guest: exec and push over SSH, the console, QMP, and whether it is still there."""

from __future__ import annotations

import base64
import contextlib
import gzip
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.closing import Closing
from harness.core.deadline import Deadline
from harness.core.errors import GuestLostError, HarnessError, QemuDiedError, UsageError
from harness.guest.attach import Handle, open_handle
from harness.guest.frames import read_frames, read_memory
from harness.guest.ssh import Completed, SshConnection, SshError
from harness.verdict.audit import audit
from harness.vm.dram_view import Dram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import paramiko

    from harness.core.progress import Progress
    from harness.guest.frames import Frame
    from harness.guest.template import Template
    from harness.verdict.audit import Audit, Expected
    from harness.vm.console import Console
    from harness.vm.run_disk import RunKeys

SSH_SECONDS = 30.0
EXEC_SECONDS = 60.0
WORKDIR = "/tmp"


class Guest(Closing):
    """A clone of a template. Use it as a context manager; the clone ends with the block.

    ``clone_seconds``: QEMU's start to the vCPUs running.
    """

    def __init__(self, template: Template, keys: RunKeys, progress: Progress) -> None:
        started = time.monotonic()
        self.template = template
        self.process = template.start(keys, progress)
        self.clone_seconds = time.monotonic() - started
        self._keys = keys
        self._connection: SshConnection | None = None

    @property
    def console(self) -> Console:
        """The clone's console; the template's boot is in ``template.console``."""
        return self.process.console

    @property
    def dram(self) -> Dram:
        """Physical memory, seen from the host. UsageError where the tags are not in it."""
        if self.process.ram is None:
            raise UsageError(
                f"on machine {self.template.spec.name} the host cannot see tags",
                "use --machine dram",
            )
        return Dram(self.process.ram, self.template.spec.tags)

    def frames(self, pid: int, address: int, pages: int) -> list[Frame]:
        """The page frames behind ``pages`` pages of a process, from ``address`` on."""
        return read_frames(self.exec, pid, address, pages)

    def memory(self, pid: int, address: int, length: int) -> bytes:
        """Memory of a process, read on the host out of DRAM. UsageError if it is not there."""
        return read_memory(self.exec, self.dram, pid, address, length)

    def audit(self, expected: Expected | None = None) -> Audit:
        """Whether the guest is consistent at this moment (harness/audit)."""
        return audit(self, expected)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the guest's CPUs meanwhile."""
        self.process.qmp("stop")
        try:
            yield
        finally:
            self.process.qmp("cont")

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = EXEC_SECONDS,
        stdin: bytes = b"",
        phase: str = "",
        stream: Callable[[str, bytes], None] | None = None,
    ) -> Completed:
        """Runs a shell line, or a list of words, as root in ``/tmp``.

        ``timeout`` in seconds; a command that outlives it has status None.
        GuestLostError (with ``phase``) when the guest stops answering.
        """
        line = command if isinstance(command, str) else shlex.join(command)
        phase = phase or f"running: {line[:100]}"
        deadline = Deadline.after(timeout)
        try:
            # dropbear's low OOM score (agent.c) is not for what it runs. The shell stays
            # until the end: it turns a signal into a status, which SSH would not show.
            done = self._connected().exec(
                f"echo 0 > /proc/self/oom_score_adj; cd {WORKDIR}; {line}\nexit $?",
                deadline,
                stdin,
                stream,
                lambda: self.process.status() == "running",
            )
        except SshError as error:
            raise self.lost(str(error), phase) from error
        if done.status is None:
            self.require_alive(phase)
        return done

    def _connected(self) -> SshConnection:
        if self._connection is None:
            self._connection = SshConnection(
                self.process.ssh_port(), self._keys, Deadline.after(SSH_SECONDS)
            )
        return self._connection

    def shell_channel(self, columns: int, lines: int) -> paramiko.Channel:
        """An interactive shell on a terminal of that size, for a person."""
        try:
            return self._connected().shell(columns, lines, Deadline.after(SSH_SECONDS))
        except SshError as error:
            raise self.lost(str(error), "opening a shell") from error

    def push(self, data: bytes | Path, remote: str, *, mode: int = 0o755) -> None:
        """Writes a file in the guest. ``remote`` is absolute or below ``/tmp``."""
        content = data.read_bytes() if isinstance(data, Path) else data
        where = shlex.quote(remote)
        done = self.exec(
            f"gzip -dc > {where} && chmod {mode:o} {where}",
            stdin=gzip.compress(content, 1),
            phase=f"pushing {remote}",
        )
        if done.status != 0:
            raise HarnessError(f"cannot write {remote} in the guest: {done.stderr.strip()}")

    def pull(self, remote: str, *, timeout: float = EXEC_SECONDS) -> bytes:
        """A file's contents from the guest (at most a few MiB)."""
        done = self.exec(f"base64 {shlex.quote(remote)}", timeout=timeout)
        if done.status != 0:
            raise HarnessError(f"cannot read {remote} in the guest: {done.stderr.strip()}")
        return base64.b64decode(done.stdout)

    def require_alive(self, phase: str) -> None:
        """Raises GuestLostError unless the guest still answers a command."""
        try:
            self._probe()
        except SshError as error:
            raise self.lost(f"it no longer answers: {error}", phase) from error

    def _probe(self) -> None:
        deadline = Deadline.after(SSH_SECONDS)
        connection = SshConnection(self.process.ssh_port(), self._keys, deadline)
        try:
            done = connection.exec("true", deadline)
        finally:
            connection.close()
        if done.status != 0:
            raise SshError(f"`true` ended with {done.status} after {done.seconds:.0f} s")

    def lost(self, why: str, phase: str) -> HarnessError:
        """The error for a guest that is gone: phase, console, registers, command line.

        A QEMU that ended from outside is the host's trouble, not the kernel's.
        """
        # The console and the reset may trail the cut connection by a moment.
        self.console.wait_for(r"Kernel panic|Rebooting in|end trace", Deadline.after(1.0))
        try:
            state = self.process.status()
        except QemuDiedError as error:
            error.details = f"in phase: {phase}\n{error.details}"
            return error
        words = {
            "shutdown": "the kernel reset or powered off the machine",
            "running": "the machine still runs, but",
        }.get(state, f"QEMU's state is {state};")
        return GuestLostError(
            f"guest lost in phase: {phase}: {words} {why}".strip(),
            details="\n".join(
                [
                    "console, last 60 lines:",
                    self.console.tail(60) or "(nothing since the clone)",
                    "registers:",
                    self.process.registers(),
                    self.process.describe(),
                ]
            ),
        )

    @contextlib.contextmanager
    def reachable(self, guests: Path) -> Iterator[Handle]:
        """Meanwhile other processes of this user find the guest below ``guests``."""
        with open_handle(guests, self.process, self.template, self._keys) as handle:
            yield handle

    def close(self) -> None:
        """Ends the clone."""
        if self._connection is not None:
            with contextlib.suppress(Exception):  # a dead peer cannot be told good-bye
                self._connection.close()
        self.process.close()
