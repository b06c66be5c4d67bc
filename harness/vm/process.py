# SPDX-License-Identifier: MIT
"""A running QEMU: its process, its QMP and console sockets, its DRAM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from qemu.qmp import ExecuteError, QMPClient, QMPError

from harness.core.errors import HarnessError, QemuDiedError
from harness.core.host_trouble import KILLED_CURE, reported_cure
from harness.vm.confined import killed_by_sandbox
from harness.vm.console import Console
from harness.vm.cpu_share import CpuTime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from harness.core.deadline import Deadline
    from harness.core.limits import Limits
    from harness.vm.channels import Channels
    from harness.vm.confined import Confined
    from harness.vm.dram import Dram


T = TypeVar("T")


class QemuProcess(contextlib.AbstractContextManager["QemuProcess"]):
    """A QEMU that ends with the ``with`` block, or with this process however that ends.

    ``channels``, ``confined`` and ``dram`` belong to the object from then on and are closed with
    it. ``environment`` is added to this process's. Raise QemuDiedError if QEMU does not come
    up on QMP.
    """

    def __init__(
        self,
        command: Sequence[str],
        channels: Channels,
        limits: Limits,
        *,
        confined: Confined,
        dram: Dram | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = tuple(command)
        self._channels = channels
        self.confined = confined
        self.dram = dram
        self.limits = limits
        with tempfile.TemporaryFile() as log:
            self._process = subprocess.Popen(
                confined.command(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(
                    *channels.descriptors.all(),
                    *confined.descriptors(),
                    *([dram.fd] if dram else []),
                ),
                env={**os.environ, **confined.environment(environment or {})},
                start_new_session=True,  # the terminal's Ctrl-C reaches this process only
            )
            with contextlib.ExitStack() as undo:  # until close() can end it
                undo.callback(self._end)
                self._log = os.dup(log.fileno())
                undo.callback(os.close, self._log)
                channels.close_remote()
                self.console = Console(channels.console)
                undo.callback(self.console.close)
                # qemu.qmp is asynchronous. Its blocking part, qemu.qmp.legacy, connects without
                # a time limit: a QEMU that hangs at its start would never be reported.
                self._loop = asyncio.new_event_loop()
                undo.pop_all()
        self._monitor = QMPClient()
        try:
            self._wait(self._monitor.connect(channels.qmp))
        except (TimeoutError, QMPError, OSError) as error:
            failure = self._died("at its start")
            self.close()
            raise failure from error
        except BaseException:
            self.close()
            raise

    def _wait(self, answer: Awaitable[T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(answer, self.limits.qmp))

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    def command_line(self) -> str:
        """Return the command, quoted for a shell."""
        return shlex.join(self.command)

    def output(self) -> str:
        """Return what QEMU itself printed, of it at most the first 64 KiB."""
        return os.pread(self._log, 65536, 0).decode("utf-8", "replace").strip()

    def lend(self, data: bytes) -> int:
        """Put ``data`` on the run disk: `Channels.lend`."""
        return self._channels.lend(data)

    def cpu_times(self) -> dict[int, CpuTime]:
        """Return what each thread has had of this host's CPUs, by thread id.

        Source: /proc/PID/task/TID/schedstat, its first two fields, in nanoseconds
        (Documentation/scheduler/sched-stats.rst). Empty on a host kernel without it.
        """
        times = {}
        for path in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError):  # a thread may end
                ran, waited, _ = path.read_text().split()
                times[int(path.parent.name)] = CpuTime(int(ran) / 1e9, int(waited) / 1e9)
        return times

    def running(self) -> bool:
        """Return whether the process exists."""
        return self._process.poll() is None

    def _died(self, when: str) -> QemuDiedError:
        try:
            status = self._process.wait(timeout=self.limits.exit)
        except subprocess.TimeoutExpired:
            return QemuDiedError(
                f"QEMU (pid {self.pid}) does not answer on QMP {when}", details=self.describe()
            )
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        output = killed_by_sandbox(self.pid, status) or self.output()
        last_line = f": {output.splitlines()[-1]}" if output else ""
        return QemuDiedError(
            f"QEMU ended {when} with {how}{last_line}",
            f"see its output and command line below; {reported_cure(output) or KILLED_CURE}",
            self.describe(),
        )

    def describe(self) -> str:
        """Return command line and output, for a failure's details."""
        return f"QEMU command line:\n{self.command_line()}\nQEMU output:\n{self.output()}"

    def qmp(self, command: str, **arguments: object) -> object:
        """Run one QMP command and return its value.

        Raise QemuDiedError when QEMU has ended, refuses it, or does not answer.
        """
        try:
            return self._wait(self._monitor.execute(command, arguments))
        except ExecuteError as error:
            raise QemuDiedError(
                f"QEMU refuses {command}: {error.error.error.desc}", details=self.describe()
            ) from error
        except (TimeoutError, QMPError, OSError, EOFError) as error:
            raise self._died(f"during {command}") from error

    def hmp(self, line: str) -> str:
        """Run a human monitor command and return its text."""
        return cast("str", self.qmp("human-monitor-command", **{"command-line": line}))

    def status(self) -> str:
        """Return QMP's run state: ``running``, ``paused``, ``shutdown``, ``inmigrate``, …"""
        return cast("dict[str, str]", self.qmp("query-status"))["status"]

    def wait_status(self, wanted: str, deadline: Deadline) -> bool:
        """Return whether the run state becomes ``wanted`` in time."""
        while self.status() != wanted:
            if deadline.passed():
                return False
            # A saved machine comes up within tens of milliseconds.
            time.sleep(min(deadline.left(), 0.002))
        return True

    def ssh_port(self) -> int:
        """Return the port on 127.0.0.1 that QEMU forwards to the guest's SSH server."""
        text = self.hmp("info usernet")
        match = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", text)
        if match is None:
            raise QemuDiedError("QEMU forwards no SSH port", details=text)
        return int(match[1])

    def registers(self) -> str:
        """Return the registers of each vCPU, or the reason why QEMU does not give them."""
        try:
            return self.hmp("info registers -a").replace("\r\n", "\n").strip()
        except HarnessError as error:
            return f"registers cannot be read: {error}"

    def kill(self) -> None:
        """End QEMU from any thread. Who waits for it gets QemuDiedError; close() is still due."""
        self._process.kill()

    def _end(self) -> None:
        if self.running():
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End QEMU and free all that belongs to it; a second call does nothing."""
        self._end()
        if not self._loop.is_closed():
            with contextlib.suppress(Exception):  # QEMU closed its end first
                self._wait(self._monitor.disconnect())
            self._loop.close()
        self.console.close()
        self._channels.close()
        self.confined.close()
        if self.dram is not None:
            self.dram.close()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def __exit__(self, *_: object) -> None:
        self.close()
