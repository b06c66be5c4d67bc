# SPDX-License-Identifier: MIT
"""The sockets and disks through which one QEMU is reached, none of which has a name."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.vm.qemu_args import Descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Channels:
    """Our ends of QEMU's QMP and console sockets, and the ``descriptors`` that QEMU inherits."""

    qmp: socket.socket
    console: socket.socket
    descriptors: Descriptors


@contextlib.contextmanager
def open_channels(swap_mib: int, run_disk: bytes, scratch: Path) -> Iterator[Channels]:
    """Yield new channels. The block starts QEMU and hands our ends to its `QemuProcess`.

    QEMU's ends are closed in this process after the block, ours too if it raises. The swap
    disk is an unnamed file in ``scratch`` of ``swap_mib`` MiB, which takes no room until
    the guest writes to it.
    """
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        our_qmp, their_qmp = socket.socketpair()
        our_console, their_console = socket.socketpair()
        for end in (our_qmp, our_console):
            ours.callback(end.close)
        for end in (their_qmp, their_console):
            theirs.callback(end.close)
        swap = os.open(scratch, os.O_TMPFILE | os.O_RDWR, 0o600)
        theirs.callback(os.close, swap)
        os.truncate(swap, swap_mib * 1024 * 1024)
        run = os.memfd_create("mte-run")
        theirs.callback(os.close, run)
        os.write(run, run_disk)
        read_only = [os.open(f"/proc/self/fd/{fd}", os.O_RDONLY) for fd in (swap, run)]
        for fd in read_only:
            theirs.callback(os.close, fd)
        yield Channels(
            our_qmp,
            our_console,
            Descriptors(their_qmp.fileno(), their_console.fileno(), swap, *read_only),
        )
        ours.pop_all()
