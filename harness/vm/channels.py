# SPDX-License-Identifier: MIT
"""The sockets and disks through which one QEMU is reached, none of which has a name."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.vm.qemu_args import Descriptors
from harness.vm.run_disk import BLOCK, DISK_SIZE, SIZE

if TYPE_CHECKING:
    from pathlib import Path


class Channels(contextlib.AbstractContextManager["Channels"]):
    """``qmp`` and ``console`` are our ends of two sockets; QEMU inherits ``descriptors``.

    Once QEMU runs, its ends have to be closed here (`close_remote`): only then is its end
    seen as the end of the sockets. The swap disk is an unnamed file in ``scratch`` of
    ``swap_mib`` MiB, which takes no room until the guest writes to it. The run disk is memory;
    `lend` puts files for the guest on it. ``gdb`` is the path of
    the Unix socket that QEMU's gdb stub is to listen on; its directory is the caller's.
    """

    def __init__(
        self, swap_mib: int, run_disk: bytes, scratch: Path, gdb: Path | None = None
    ) -> None:
        with contextlib.ExitStack() as undo:
            self._remote = undo.enter_context(contextlib.ExitStack())
            self.qmp, qmp = socket.socketpair()
            self.console, console = socket.socketpair()
            undo.callback(self.qmp.close)
            undo.callback(self.console.close)
            self._remote.callback(qmp.close)
            self._remote.callback(console.close)
            swap = self._inherited(os.open(scratch, os.O_TMPFILE | os.O_RDWR, 0o600))
            os.truncate(swap, swap_mib * 1024 * 1024)
            run = self._inherited(os.memfd_create("mte-run"))
            os.write(run, run_disk)
            os.truncate(run, DISK_SIZE)
            self._run = os.dup(run)
            undo.callback(os.close, self._run)
            self._lent = SIZE
            swap_again, run_again = (
                self._inherited(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)) for fd in (swap, run)
            )
            stub = self._listening(gdb) if gdb else None
            self.descriptors = Descriptors(
                qmp.fileno(), console.fileno(), swap, swap_again, run_again, stub
            )
            undo.pop_all()

    def _inherited(self, fd: int) -> int:
        self._remote.callback(os.close, fd)
        return fd

    def _listening(self, path: Path) -> int:
        listener = socket.socket(socket.AF_UNIX)
        self._remote.callback(listener.close)
        listener.bind(str(path))
        listener.listen()
        return listener.fileno()

    def lend(self, data: bytes) -> int:
        """Put ``data`` on the run disk, and return the byte there where it begins.

        Raise HarnessError when the disk has no room for it.
        """
        at, room = self._lent, DISK_SIZE - self._lent
        if len(data) > room:
            raise HarnessError(
                f"a file of {len(data)} bytes has no room on the run disk: {room} bytes are left",
                "push less to this guest",
            )
        left = memoryview(data)
        while left:
            left = left[os.pwrite(self._run, left, at + len(data) - len(left)) :]
        self._lent += -(-len(data) // BLOCK) * BLOCK
        return at

    def close_remote(self) -> None:
        """Close QEMU's ends in this process; a second call does nothing."""
        self._remote.close()

    def close(self) -> None:
        """Close both ends; a second call does nothing."""
        self.close_remote()
        if self._run >= 0:
            os.close(self._run)
            self._run = -1
        self.qmp.close()
        self.console.close()

    def __exit__(self, *_: object) -> None:
        self.close()
