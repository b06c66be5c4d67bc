# SPDX-License-Identifier: MIT
"""A board without a machine: an SSH server on loopback whose answers come from a table.

The connection, the host key and the login are real (paramiko, on both sides); the shell lines, and
the keeper, are played. What a test changes is a field of `FakeBoard`.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOOT = "8b7c5a3e-0000-4000-8000-000000000001"
CONFIG = "CONFIG_ARM64=y\nCONFIG_ARM64_MTE=y\nCONFIG_ZRAM=m\nCONFIG_PROC_PAGE_MONITOR=y\n"
FEATURES = "fp asimd mte mte3"
SHOWN = (
    "/proc/kpageflags", "/sys/class/zram-control/hot_add", "/sys/kernel/mm/ksm/run",
    "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/swaps", "memcg", "debugfs", "shm",
)  # fmt: skip
COUNTERS = (
    "==> /proc/meminfo <==\nMemTotal: 1000000 kB\nMemFree: 500000 kB\n\n"
    "==> /proc/vmstat <==\nnr_free_pages 125000\n\n==> /proc/zoneinfo <==\n\n"
    "==> /proc/sys/kernel/tainted <==\n0\n"
)
PASSES = "KTAP version 1\n1..1\nok 1 first\n"


@dataclass
class FakeBoard:
    """What the board is, and what happens on it.

    ``says`` are answers to shell lines that have a word in them: output and status. At a line with
    the word ``cut_at`` the connection breaks, and the board boots again if ``boots_again``. The
    keeper begins with ``begins`` and, at its end, says ``leaves``. ``lines`` is what came.
    """

    user: str = "root"
    uid: int = 0
    features: str = FEATURES
    page_kib: int = 4
    release: str = "7.3.4"
    shown: tuple[str, ...] = SHOWN
    config: str = CONFIG
    boot: str = BOOT
    says: dict[str, tuple[str, int]] = field(default_factory=dict)
    cut_at: str = ""
    boots_again: bool = False
    begins: str = "\x01zram 1\n\x01ready 42\n"
    prints: str = ""
    leaves: tuple[str, ...] = ()
    silent: bool = False
    lines: list[str] = field(default_factory=list)
    logins: int = 0

    def facts(self) -> str:
        """Return the output of harness/guest/board_facts.py, READ."""
        cpu = f"Features\t: {self.features}\nCPU implementer\t: 0x41\nCPU part\t: 0xd81\n"
        shown = "".join(f"shown:{word}\n" for word in self.shown)
        return (
            f"==> /proc/sys/kernel/osrelease <==\n{self.release}\n\n"
            "==> /proc/sys/kernel/version <==\n#1 SMP\n\n"
            f"==> /proc/sys/kernel/random/boot_id <==\n{self.boot}\n\n"
            "==> /proc/sys/kernel/tainted <==\n0\n\n"
            f"==> /proc/cpuinfo <==\n{cpu}\n{cpu}\n"
            "==> /proc/meminfo <==\nMemTotal:       16000000 kB\n"
            f"==> facts <==\nuid:{self.uid}\nmodel:Radxa Orion O6\n"
            f"page:KernelPageSize:        {self.page_kib} kB\n{shown}"
        )

    def answer(self, line: str) -> tuple[str, int]:
        """Return output and status of a shell line."""
        for word, answer in self.says.items():
            if word in line:
                return answer
        if "==> facts" in line:
            return self.facts(), 0
        if "config.gz" in line:
            packed = base64.b64encode(gzip.compress(self.config.encode())).decode()
            return packed if self.config else "", 0
        if "boot_id" in line:
            return self.boot + "\n", 0
        if "/proc/meminfo" in line:
            return COUNTERS, 0
        return "", 0


class _Server(paramiko.ServerInterface):
    def __init__(self, board: FakeBoard, key: paramiko.PKey, transport: paramiko.Transport) -> None:
        self._board = board
        self._key = key
        self._transport = transport

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == self._board.user and key == self._key
        self._board.logins += good
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, line: str) -> None:
        board = self._board
        board.lines.append(line)
        with contextlib.suppress(OSError, EOFError):
            if board.cut_at and board.cut_at in line:
                board.cut_at = ""
                if board.boots_again:
                    board.boot = BOOT.replace("1", "2")
                self._transport.close()
                return
            if "keeper guard" in line:
                self._keep(channel)
                return
            if line.startswith("cat > "):
                while channel.recv(65536):
                    pass
            output, status = board.answer(line)
            channel.sendall(output.encode())
            channel.send_exit_status(status)
            channel.shutdown_write()
            # This thread may be faster than the reply to the request, which close() would cut off.
            channel.settimeout(30)
            while channel.recv(65536):
                pass
            channel.close()

    def _keep(self, channel: paramiko.Channel) -> None:
        board = self._board
        channel.recv(65536)  # of the keeper's program: the client has the reply to its request
        channel.sendall(board.begins.encode())
        if "\x01ready" not in board.begins:
            channel.sendall("".join(f"\x01left {line}\n" for line in board.leaves).encode())
            channel.sendall(b"\x01restored 42\n")
            channel.close()
            return
        while data := channel.recv(65536):
            if board.silent:
                continue
            if b"s\n" in data:
                channel.sendall(f"{board.prints}\x01sync 42\n".encode())
                board.prints = ""
            if b"q\n" in data:
                left = "".join(f"\x01left {line}\n" for line in board.leaves)
                channel.sendall(f"{left}\x01restored 42\n".encode())
                channel.close()
                return


@dataclass(frozen=True)
class Listening:
    """Where the fake board listens; ``home`` has the ssh configuration that leads to it."""

    board: FakeBoard
    port: int
    home: Path
    host_key: paramiko.PKey


def _serve(
    listener: socket.socket, board: FakeBoard, host: paramiko.PKey, user: paramiko.PKey
) -> None:
    while True:
        try:
            stream, _ = listener.accept()
        except OSError:
            return
        transport = paramiko.Transport(stream)
        transport.add_server_key(host)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            transport.start_server(server=_Server(board, user, transport))


@contextlib.contextmanager
def listening(board: FakeBoard, home: Path) -> Iterator[Listening]:
    """Serve ``board`` on loopback, as the Host `board` of the configuration in ``home``."""
    host, user = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    ssh = home / ".ssh"
    ssh.mkdir(parents=True)
    user.write_private_key_file(str(ssh / "id_ecdsa"))
    known = f"[127.0.0.1]:{port} {host.get_name()} {host.get_base64()}\n"
    (ssh / "known_hosts").write_text(known)
    (ssh / "config").write_text(
        f"Host board\n HostName 127.0.0.1\n Port {port}\n IdentityFile {ssh / 'id_ecdsa'}\n"
    )
    thread = threading.Thread(target=_serve, args=(listener, board, host, user), daemon=True)
    thread.start()
    try:
        yield Listening(board, port, home, host)
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
