# SPDX-License-Identifier: MIT
"""A running guest: commands and files over SSH, its console, its DRAM, and how it was lost."""

from __future__ import annotations

import contextlib
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect

from harness.core.deadline import Deadline
from harness.core.errors import GuestLostError, HarnessError, QemuDiedError, UsageError
from harness.guest.attach import Handle, open_handle
from harness.guest.frames import read_frames, read_memory
from harness.guest.ssh import Completed, SilentError, SshConnection, SshError, loopback
from harness.guest.system import WORKDIR, System
from harness.vm.cpu_share import PATIENCE, CpuWatch, starved_error
from harness.vm.run_disk import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import paramiko

    from harness.guest.frames import PageFrame
    from harness.guest.template import Template
    from harness.vm.console import Console
    from harness.vm.cpu_share import CpuTime
    from harness.vm.dram import Dram
    from harness.vm.run_disk import RunKeys

# swapoff reads back what page tables still refer to, so that pages of processes that have ended
# must be gone by then.
_TIDY = (
    "swapoff -a 2>/dev/null; for z in /sys/block/zram*/reset; do echo 1 > $z; done 2>/dev/null; "
    "rm -rf /tmp/* /dev/shm/* /tmp/.[!.]*; echo 0 > /proc/sys/vm/nr_hugepages 2>/dev/null; "
)
# QEMU's run states in which a command may still end, and those of a guest that gdb stopped:
# "paused" by attaching, "debug" at a breakpoint (QEMU, gdbstub/system.c).
ALIVE = frozenset({"running"})
STOPPED = frozenset({"paused", "debug"})

# What a kernel prints as it goes down (kernel/panic.c, arch/arm64/kernel/traps.c die()).
_FALLS = ("Kernel panic", "Rebooting in", "end trace")


class Guest(System):
    """A clone of a template, which ends with the ``with`` block.

    ``clone_seconds``: QEMU's start to the vCPUs running. ``limits`` are those of the
    template, scaled for its kernel. ``used``: something has run in it already. ``gdb``: the
    Unix socket where a debugger may attach (`VirtualMachine.launch`); then no command has a time
    limit of its own.
    """

    template: Template
    tidy = _TIDY
    _watch: CpuWatch | None = None  # since the wait that may end with a lost guest began

    def __init__(self, template: Template, keys: RunKeys, gdb: Path | None = None) -> None:
        started = time.monotonic()
        self.template = template
        self.limits = template.limits.for_debugger() if gdb else template.limits
        self.process = template.clone(keys, gdb)
        self.clone_seconds = time.monotonic() - started
        self.used = False
        self._alive = ALIVE | STOPPED if gdb else ALIVE
        self._keys = keys
        self._connection: SshConnection | None = None

    @property
    def console(self) -> Console:
        """The clone's console; the template's boot is in ``template.console``."""
        return self.process.console

    @property
    def dram(self) -> Dram:
        """Physical memory, seen from the host. UsageError where the tags are not in it."""
        if self.process.dram is None:
            raise UsageError(
                f"on machine {self.template.spec.name} the host cannot see tags",
                "use --machine dram",
            )
        return self.process.dram

    def frames(self, pid: int, address: int, pages: int) -> list[PageFrame]:
        """Return the frames behind ``pages`` pages of a process, from ``address`` on."""
        return read_frames(self.exec, pid, address, pages)

    def memory(self, pid: int, address: int, length: int) -> bytes:
        """Return memory of a process, read on the host from DRAM.

        Raise UsageError where a page of it is not in memory.
        """
        return read_memory(self.exec, self.dram, pid, address, length)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the guest's CPUs for the block."""
        self.process.qmp("stop")
        try:
            yield
        finally:
            self.process.qmp("cont")

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        phase: str = "",
        stream: Callable[[str, bytes], None] | None = None,
    ) -> Completed:
        """Run a shell line, or a list of words, as root in ``/tmp``: see System."""
        self.used = True
        self._watch = CpuWatch(self.process.cpu_times)
        line = command if isinstance(command, str) else shlex.join(command)
        phase = phase or f"running: {line[:100]}"
        deadline = Deadline.after(self.limits.exec if timeout is None else timeout)
        try:
            # dropbear's children inherit its low oom_score_adj (agent.c): undo that. The
            # shell stays until the end to turn death by a signal into an exit status.
            done = self._connected().exec(
                f"echo 0 > /proc/self/oom_score_adj; cd {WORKDIR}; {line}\nexit $?",
                deadline,
                stream,
                lambda: self.process.status() in self._alive,
            )
        except SshError as error:
            raise self.lost(error, phase) from error
        if done.status is None:
            self.require_alive(phase)
        return done

    def _connect(self) -> SshConnection:
        """Return a new connection. A guest that this host starves gets PATIENCE times the time."""
        for left in range(PATIENCE - 1, -1, -1):
            self._watch = CpuWatch(self.process.cpu_times)
            try:
                return self._connect_once()
            except SilentError:
                if not left or not self._watch.starved():
                    raise
        raise AssertionError

    def _connect_once(self) -> SshConnection:
        deadline = Deadline.after(self.limits.ssh_connect)
        return SshConnection(loopback(self.process.ssh_port(), self._keys), deadline)

    def _connected(self) -> SshConnection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def shell_channel(self, columns: int, lines: int) -> paramiko.Channel:
        """Return an interactive shell on a terminal of that size."""
        try:
            deadline = Deadline.after(self.limits.ssh_connect)
            return self._connected().shell(columns, lines, deadline)
        except SshError as error:
            raise self.lost(error, "opening a shell") from error

    def cpu_times(self) -> Mapping[int, CpuTime]:
        """Return the CPU time of this host that each of QEMU's threads has had."""
        return self.process.cpu_times()

    def suspect(self) -> None:
        """Do nothing: no other test runs in this clone."""

    def push_line(self, data: bytes | Path, remote: str, *, mode: int = 0o755) -> str:
        """Return the shell line that writes a file, whose content is on the run disk already.

        Under TCG a guest decrypts SSH, and unpacks a file, slower than it reads a disk.
        """
        content = data.read_bytes() if isinstance(data, Path) else data
        where, count = shlex.quote(remote), -(-len(content) // BLOCK)
        return (
            f"dd if=/run/disk of={where} bs={BLOCK} iflag=direct,skip_bytes "
            f"skip={self.process.lend(content)} count={count} status=none && "
            f"truncate -s {len(content)} {where} && chmod {mode:o} {where}"
        )

    def require_alive(self, phase: str) -> None:
        """Raise GuestLostError unless the guest answers a command on a new connection."""
        try:
            self._probe()
        except SshError as error:
            raise self.lost(type(error)(f"it no longer answers: {error}"), phase) from error

    def _probe(self) -> None:
        connection = self._connect()
        try:
            done = connection.exec("true", Deadline.after(self.limits.ssh_connect))
        finally:
            connection.close()
        if done.status is None:
            raise SilentError(f"`true` did not end in {done.seconds:.0f} s")
        if done.status != 0:
            raise SshError(f"`true` ended with {done.status} after {done.seconds:.0f} s")

    def lost(self, why: SshError, phase: str) -> HarnessError:
        """Return the error for a guest that is gone: phase, console, registers, command line.

        The host's fault are QemuDiedError, if QEMU ended from outside, and HarnessError, if the
        guest was silent and got no CPU time: that cuts no connection.
        """
        starved = isinstance(why, SilentError) and self._watch is not None and self._watch.starved()
        # The console and the reset may trail the cut connection by a moment.
        seen = self.console.expect(
            [*_FALLS, pexpect.EOF, pexpect.TIMEOUT],
            timeout=self.limits.panic,
        )
        try:
            state = self.process.status()
        except QemuDiedError as error:
            error.details = f"in phase: {phase}\n{error.details}"
            return error
        if starved and state == "running" and seen >= len(_FALLS):
            return starved_error(f"in phase: {phase}: {why}", self.process.describe())
        machine = {
            "shutdown": "the kernel reset or powered off the machine",
            "running": "the machine still runs, but",
        }.get(state, f"QEMU's state is {state};")
        return GuestLostError(
            f"guest lost in phase: {phase}: {machine} {why}".strip(),
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
        """Let other processes of this user find the guest below ``guests`` for the block."""
        with open_handle(guests, self.process, self.template, self._keys) as handle:
            yield handle

    def close(self) -> None:
        """End the clone; a second call does nothing."""
        if self._connection is not None:
            with contextlib.suppress(Exception):  # the guest may be gone
                self._connection.close()
        self.process.close()
