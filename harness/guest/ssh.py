# SPDX-License-Identifier: MIT
"""Commands over SSH, to a guest on loopback with a pinned host key, or to a board."""

from __future__ import annotations

import errno
import functools
import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import paramiko

from harness.core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.deadline import Deadline
    from harness.vm.run_disk import RunKeys

# What paramiko raises when the guest is gone, or its host key is another.
BROKEN: Final = (OSError, EOFError, paramiko.SSHException)
# What this host refuses: no guest is at fault.
HOST_ERRORS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL,
     errno.ENETUNREACH}
)  # fmt: skip
# A probe that prints without end must not fill the host's memory.
OUTPUT_LIMIT: Final = 8 * 1024 * 1024
# How often a silent guest's machine is asked whether it runs, in seconds.
ASK_SECONDS: Final = 1.0
# Cheapest under TCG: AES and SHA-256 are single instructions there, ChaCha20 is not.
CIPHERS: Final = ("aes128-ctr", "aes256-ctr")
MACS: Final = ("hmac-sha2-256",)

# paramiko logs a traceback for each connection that a dying guest cuts; the exceptions
# below report the same.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class SshError(Exception):
    """The connection was refused, was cut, or is silent. The caller knows what that means."""


class SilentError(SshError):
    """Nothing answered in time, and nothing was cut: the other side may get no CPU."""


@dataclass(frozen=True)
class Completed:
    """A command that ended, or was given up.

    ``status`` is None when the time limit or the output limit ended the command;
    ``overflow``: it was the output limit. ``seconds`` is wall time. The output is printable();
    a ``stream`` (Ssh.exec()) gets its bytes as they are.
    """

    command: str
    status: int | None
    stdout: str
    stderr: str
    seconds: float
    overflow: bool = False


def loopback(port: int, keys: RunKeys) -> Callable[[Deadline], paramiko.Transport]:
    """Return what connects to a guest on 127.0.0.1, with the key pairs of its run."""
    return functools.partial(_connect, port, keys)


def _connect(port: int, keys: RunKeys, deadline: Deadline) -> paramiko.Transport:
    stream = socket.create_connection(("127.0.0.1", port), timeout=deadline.left())
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(stream, default_window_size=16 * 1024 * 1024)
    try:
        options = transport.get_security_options()
        options.ciphers = CIPHERS
        options.digests = MACS
        options.key_types = ("ssh-ed25519",)
        transport.banner_timeout = transport.auth_timeout = max(1.0, deadline.left())
        transport.start_client(timeout=max(1.0, deadline.left()))
        seen = transport.get_remote_server_key()
        pinned = keys.host_public_text()
        if f"{seen.get_name()} {seen.get_base64()}" != pinned:
            raise paramiko.SSHException("the guest's host key is not this run's")
        transport.auth_publickey("root", keys.user_key())
    except BaseException:
        transport.close()
        raise
    return transport


class SshConnection:
    """One authenticated connection; channels on it cost a few milliseconds each."""

    def __init__(
        self, connect: Callable[[Deadline], paramiko.Transport], deadline: Deadline
    ) -> None:
        self._transport: paramiko.Transport | None = None
        last: Exception | None = None
        while not deadline.passed():
            try:
                self._transport = connect(deadline)
            except BROKEN as error:
                if isinstance(error, OSError) and error.errno in HOST_ERRORS:
                    raise
                last = error
                time.sleep(0.02)
            else:
                return
        raise SilentError(f"no SSH connection within {deadline.seconds:.0f} s: {last}")

    def open_channel(self, deadline: Deadline) -> paramiko.Channel:
        """Return a new channel. Raise SshError if the connection is cut."""
        if self._transport is None or not self._transport.is_active():
            raise SshError("the SSH connection is cut")
        try:
            return self._transport.open_session(timeout=max(1.0, deadline.left()))
        except BROKEN as error:
            kind = SilentError if self._transport.is_active() else SshError
            raise kind(f"no new SSH channel: {error}") from error

    def exec(
        self,
        command: str,
        deadline: Deadline,
        stream: Callable[[str, bytes], None] | None = None,
        alive: Callable[[], bool] = lambda: True,
        stdin: bytes | None = b"",
    ) -> Completed:
        """Run ``command`` in the system's shell. Raise SshError if the connection is cut.

        ``stream`` gets each piece of output as it comes: ``"stdout"`` or ``"stderr"``, and
        bytes. ``alive`` is called once a second, because a machine that stopped does not
        close its connections. ``stdin`` is its standard input, None one that ends only with the
        connection.
        """
        try:
            return self._exec(command, deadline, stream, alive, stdin)
        except BROKEN as error:
            raise SshError(f"the SSH connection broke: {error or type(error).__name__}") from error

    def _exec(
        self,
        command: str,
        deadline: Deadline,
        stream: Callable[[str, bytes], None] | None,
        alive: Callable[[], bool],
        stdin: bytes | None,
    ) -> Completed:
        tell = stream or (lambda _channel, _data: None)
        started = time.monotonic()
        channel = self.open_channel(deadline)
        with channel:
            channel.exec_command(os.fsencode(command))
            out, err = bytearray(), bytearray()
            if stdin is not None:
                channel.sendall(stdin)
                channel.shutdown_write()
            asked = started
            while True:
                # Tested before the reads, so that output sent before the end is still read.
                ended = (
                    (channel.eof_received and channel.exit_status_ready())
                    or channel.closed
                    or not self.is_alive()
                )
                moved = False
                if channel.recv_ready():
                    out += (data := channel.recv(262144))
                    tell("stdout", data)
                    moved = True
                if channel.recv_stderr_ready():
                    err += (data := channel.recv_stderr(262144))
                    tell("stderr", data)
                    moved = True
                overflow = len(out) + len(err) > OUTPUT_LIMIT
                if overflow or deadline.passed():
                    return self._completed(command, None, out, err, started, overflow=overflow)
                if not moved:
                    if ended:
                        break
                    if time.monotonic() - asked > ASK_SECONDS:
                        asked = time.monotonic()
                        if not alive():
                            break
                    time.sleep(0.001)
            # paramiko gives -1 where the channel ended without a status (paramiko/channel.py).
            status = channel.recv_exit_status() if channel.exit_status_ready() else -1
            if status < 0:
                raise SshError(f"the SSH connection was cut in the middle of: {command}")
            return self._completed(command, status, out, err, started)

    def shell(self, columns: int, lines: int, deadline: Deadline) -> paramiko.Channel:
        """Return an interactive shell on a pseudo-terminal of that size."""
        channel = self.open_channel(deadline)
        channel.get_pty(term=os.environ.get("TERM", "vt100"), width=columns, height=lines)
        channel.invoke_shell()
        return channel

    @staticmethod
    def _completed(
        command: str,
        status: int | None,
        out: bytearray,
        err: bytearray,
        started: float,
        *,
        overflow: bool = False,
    ) -> Completed:
        return Completed(
            command,
            status,
            printable(out.decode("utf-8", "replace")),
            printable(err.decode("utf-8", "replace")),
            time.monotonic() - started,
            overflow,
        )

    def is_alive(self) -> bool:
        """Return whether the connection is open, as far as this end knows."""
        return self._transport is not None and self._transport.is_active()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
