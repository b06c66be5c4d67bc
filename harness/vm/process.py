# SPDX-License-Identifier: MIT
"""A running QEMU: its process, its QMP and console sockets, its disks."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, cast

from qemu.qmp import ExecuteError, QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from harness.core.closing import Closing
from harness.core.errors import HarnessError, QemuDiedError
from harness.vm import run_disk as rundisk
from harness.vm.console import Console
from harness.vm.qemu_args import Descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.core.deadline import Deadline
    from harness.vm.dram import Ram

QMP_SECONDS = 60.0


class QemuProcess(Closing):
    """QEMU with its three channels. Ends with the block, or with this process.

    ``make_command`` gets the descriptors that QEMU will inherit and returns the
    command line. ``ram`` is inherited too, and closed with the process; QEMU gets
    ``environment`` beside ours.
    """

    def __init__(
        self,
        make_command: Callable[[Descriptors], list[str]],
        *,
        swap_mib: int,
        run_disk: bytes,
        scratch: Path,
        ram: Ram | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        with contextlib.ExitStack() as stack:
            ours_qmp, theirs_qmp = socket.socketpair()
            ours_console, theirs_console = socket.socketpair()
            stack.callback(theirs_qmp.close)
            stack.callback(theirs_console.close)
            # O_TMPFILE: the disks never have a name, so that none is left behind.
            swap = os.open(scratch, os.O_TMPFILE | os.O_RDWR, 0o600)
            stack.callback(os.close, swap)
            os.truncate(swap, swap_mib * 1024 * 1024)
            run = os.memfd_create("mte-run")
            stack.callback(os.close, run)
            os.write(run, run_disk.ljust(rundisk.SIZE, b"\0"))
            read_only = [os.open(f"/proc/self/fd/{fd}", os.O_RDONLY) for fd in (swap, run)]
            for fd in read_only:
                stack.callback(os.close, fd)
            descriptors = Descriptors(
                theirs_qmp.fileno(), theirs_console.fileno(), swap, *read_only
            )
            self.command = make_command(descriptors)
            log = stack.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(
                # The child dies with this process, however this process ends.
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(*descriptors.all(), *([ram.fd] if ram else [])),
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C is ours to handle
            )
            self._log = os.dup(log.fileno())
        self.ram = ram
        self.console = Console(ours_console)
        self._monitor = QEMUMonitorProtocol(ours_qmp)
        self._monitor.settimeout(QMP_SECONDS)
        try:
            self._monitor.connect()
        except (TimeoutError, QMPError, OSError) as error:
            failure = self._died("at its start")
            self.close()
            raise failure from error
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    def command_line(self) -> str:
        """The command, ready to paste."""
        return shlex.join(self.command)

    def output(self) -> str:
        """What QEMU itself printed."""
        return os.pread(self._log, 65536, 0).decode("utf-8", "replace").strip()

    def running(self) -> bool:
        """Whether the process exists."""
        return self._process.poll() is None

    def _died(self, when: str) -> HarnessError:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return QemuDiedError(
                f"QEMU (pid {self.pid}) does not answer on QMP {when}", details=self.describe()
            )
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        said = self.output()
        first = f": {said.splitlines()[-1]}" if said else ""
        return QemuDiedError(
            f"QEMU ended {when} with {how}{first}",
            "see its output and command line below; if something on this host killed it "
            "(out of memory?), run again",
            self.describe(),
        )

    def describe(self) -> str:
        """Command line and output, for a failure's details."""
        return f"QEMU command line:\n{self.command_line()}\nQEMU output:\n{self.output()}"

    def qmp(self, command: str, **arguments: object) -> object:
        """One QMP command's return value. QemuDiedError when QEMU is gone or refuses."""
        try:
            return self._monitor.cmd(command, **arguments)
        except ExecuteError as error:
            raise QemuDiedError(
                f"QEMU refuses {command}: {error.error.error.desc}", details=self.describe()
            ) from error
        except (TimeoutError, QMPError, OSError, EOFError) as error:
            raise self._died(f"during {command}") from error

    def hmp(self, line: str) -> str:
        """A human monitor command's text."""
        return cast("str", self.qmp("human-monitor-command", **{"command-line": line}))

    def status(self) -> str:
        """QMP's run state: ``running``, ``paused``, ``shutdown``, ``inmigrate``, …"""
        return cast("dict[str, str]", self.qmp("query-status"))["status"]

    def wait_status(self, wanted: str, deadline: Deadline) -> bool:
        """Whether the run state becomes ``wanted`` in time."""
        while self.status() != wanted:
            if deadline.passed():
                return False
            # An incoming template takes tens of milliseconds.
            time.sleep(min(deadline.left(), 0.002))
        return True

    def ssh_port(self) -> int:
        """The port on 127.0.0.1 that QEMU forwards to the guest's SSH."""
        text = self.hmp("info usernet")
        match = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", text)
        if match is None:
            raise QemuDiedError("QEMU forwards no SSH port", details=text)
        return int(match[1])

    def registers(self) -> str:
        """Register state of each vCPU, or why it cannot be had."""
        try:
            return self.hmp("info registers -a").replace("\r\n", "\n").strip()
        except (HarnessError, QMPError) as error:
            return f"registers cannot be read: {error}"

    def close(self) -> None:
        """Ends QEMU and frees everything; more than once is fine."""
        if self.running():
            self._process.kill()
        self._process.wait()
        with contextlib.suppress(Exception):  # the peer is gone: nothing to report
            self._monitor.close()
        self.console.close()
        if self.ram is not None:
            self.ram.close()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
