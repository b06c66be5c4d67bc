# SPDX-License-Identifier: MIT
"""An interactive root shell in a guest."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    import paramiko

    from harness.guest.attach import Handle
    from harness.guest.guest import Guest


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Pass each key to the guest as it is typed; restore the terminal after the block."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        # EIO once the terminal is gone: its window was closed while the shell ran.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def shell(guest: Guest, handle: Handle) -> int:
    """Connect this terminal to a shell in ``guest``; return the shell's exit status."""
    template = guest.template
    click.echo(
        f"{template.kernel.name} {template.kernel.release} on {template.spec.name}, "
        f"{template.machine.qemu}; guest {handle.pid} ends with this shell",
        err=True,
    )
    channel = guest.shell_channel(*shutil.get_terminal_size())

    def resized(_signal: int, _frame: object) -> None:
        channel.resize_pty(*shutil.get_terminal_size())

    before = signal.signal(signal.SIGWINCH, resized)
    try:
        with _raw_terminal():
            _copy(channel)
    finally:
        signal.signal(signal.SIGWINCH, before)
    # Waits: the status may arrive after the end of the output. Without one (the shell was
    # killed, or the guest was lost) it is -1, which exit(3) makes 255, the status of ssh(1).
    return channel.recv_exit_status()


def _copy(channel: paramiko.Channel) -> None:
    sources: list[paramiko.Channel | TextIO] = [channel, sys.stdin]
    while True:
        ready, _, _ = select.select(sources, [], [], None if sys.stdin in sources else 0.5)
        if not ready:
            # Standard input has ended. On the guest's terminal that is a character (^D),
            # which a running command may swallow: send it until the shell ends.
            channel.sendall(b"\x04")
        if channel in ready:
            data = channel.recv(65536)
            if not data:
                return
            os.write(sys.stdout.fileno(), data)
        if sys.stdin in ready:
            data = os.read(sys.stdin.fileno(), 65536)
            if data:
                channel.sendall(data)
            else:
                sources.remove(sys.stdin)
