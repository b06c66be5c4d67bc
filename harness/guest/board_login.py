# SPDX-License-Identifier: MIT
"""Logs in to a board as ssh(1) would: ~/.ssh/config, known_hosts, the agent, the user's keys.

A host key that is not known is never accepted here: a person compares it once, with ssh(1).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko

from harness.core.errors import BoardKeyError, BoardLoginError, BoardUnreachableError, UsageError

if TYPE_CHECKING:
    from harness.core.deadline import Deadline
    from harness.kernel import BoardKernel

SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
# Seconds between two signs of life. A board that is gone sends no end of its connections.
KEEPALIVE = 10


class _Refuse(paramiko.MissingHostKeyPolicy):
    def __init__(self, board: BoardKernel) -> None:
        self._board = board

    def missing_host_key(
        self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey
    ) -> None:
        raise BoardKeyError(
            f"the host key of {self._board} is not known: {key.get_name()} {key.fingerprint}",
            f"compare it, and accept it once: {by_hand(self._board)}",
        )


def by_hand(board: BoardKernel) -> str:
    """Return the command with which a person logs in."""
    return f"ssh {board}"


class BoardLogin:
    """Makes connections to one board; what ~/.ssh/config says is read once.

    Raise UsageError for a configuration that cannot be read.
    """

    def __init__(self, board: BoardKernel, home: Path | None = None) -> None:
        self.board = board
        self._ssh = (home or Path.home()) / ".ssh"
        self._client: paramiko.SSHClient | None = None
        path = self._ssh / "config"
        try:
            config = paramiko.SSHConfig.from_path(str(path)) if path.is_file() else None
            self._said = config.lookup(board.host) if config else paramiko.SSHConfigDict()
        except (OSError, paramiko.SSHException, ImportError) as error:
            raise UsageError(f"{path} cannot be read: {error}", f"ssh -G {board.host}") from error

    def __call__(self, deadline: Deadline) -> paramiko.Transport:
        """Return a connection that is logged in. Raise BoardUnreachableError and its kin."""
        self.close()
        client = self._client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_Refuse(self.board))
        try:
            self._connect(client, deadline)
        except BaseException:
            self.close()
            raise
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(KEEPALIVE)
        return transport

    def _connect(self, client: paramiko.SSHClient, deadline: Deadline) -> None:
        board, said = self.board, self._said
        for name in (SYSTEM_KNOWN_HOSTS, *said.get("userknownhostsfile", KNOWN_HOSTS).split()):
            path = self._ssh.parent / name[2:] if name.startswith("~/") else Path(name)
            if path.is_file():
                client.load_system_host_keys(str(path))
        seconds = max(1.0, deadline.left())
        proxy = said.get("proxycommand")
        # It may be a list (paramiko/client.py, _auth()), which types-paramiko does not know.
        keys: Any = [name for name in said.get("identityfile", []) if Path(name).is_file()]
        try:
            client.connect(
                said.get("hostname", board.host),
                port=board.port or int(said.get("port", 22)),
                username=board.user or said.get("user", "root"),
                key_filename=keys or None,
                sock=paramiko.ProxyCommand(proxy) if proxy else None,
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
            )
        except paramiko.BadHostKeyException as error:
            raise BoardKeyError(
                f"the host key of {board} is another than in known_hosts: "
                f"{error.key.get_name()} {error.key.fingerprint}",
                "find out why; if the board was installed anew, ssh-keygen -R its name, then "
                f"{by_hand(board)}",
            ) from error
        except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
            raise self._refused(error) from error
        except paramiko.SSHException as error:
            if "authentication methods" in str(error):  # no key was there to try
                raise self._refused(error) from error
            raise self._unreachable(error) from error
        except (OSError, EOFError) as error:
            raise self._unreachable(error) from error

    def _refused(self, error: Exception) -> BoardLoginError:
        return BoardLoginError(
            f"{self.board} refuses the login: {error}",
            f"use a key that it takes, in ~/.ssh or the agent; try: {by_hand(self.board)}",
        )

    def _unreachable(self, error: Exception) -> BoardUnreachableError:
        # paramiko's own OSErrors have no number: "[Errno None] Unable to connect".
        why = getattr(error, "strerror", "") or str(error) or type(error).__name__
        return BoardUnreachableError(
            f"{self.board} does not answer: {why}",
            f"is it on, and is the name right? try: {by_hand(self.board)}",
        )

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
