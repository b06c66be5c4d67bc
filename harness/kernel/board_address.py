# SPDX-License-Identifier: MIT
"""The address of a board, a machine over SSH whose kernel is under test: ssh://[USER@]HOST[:PORT]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.core.errors import UsageError

SCHEME = "ssh://"
_CURE = "such as ssh://root@board or ssh://root@192.0.2.7:2222"


@dataclass(frozen=True)
class BoardKernel:
    """The kernel that runs on a board.

    ``user`` is ``""``, and ``port`` None, where the user's SSH configuration is to say it.
    ``config`` is the .config of its kernel, where the board itself does not show it.
    """

    host: str
    user: str = ""
    port: int | None = None
    config: Path | None = None

    @property
    def name(self) -> str:
        """Return the name in reports and test ids."""
        host = self.host.replace(":", ".")  # an IPv6 address; pytest splits ids at "::"
        return host if self.port is None else f"{host}.{self.port}"

    def __str__(self) -> str:
        """Return the address, for a person and for the command line."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{user}{host}" + ("" if self.port is None else f":{self.port}")


def is_board(argument: str) -> bool:
    """Return whether a KERNEL argument names a board."""
    return argument.startswith(SCHEME)


def parse_board(argument: str, config: str = "") -> BoardKernel:
    """Return the board of an address. Raise UsageError for a malformed one."""
    try:
        parts = urlsplit(argument)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{argument!r} is no address of a board: {error}", _CURE) from error
    host = parts.hostname or ""
    if not host or host.startswith("-") or parts.path or parts.query or parts.fragment:
        raise UsageError(f"{argument!r} is no address of a board", _CURE)
    if parts.password is not None:
        raise UsageError(
            f"the address {SCHEME}{host} has a password in it", "use a key, or an SSH agent"
        )
    # urlsplit() lowers the case of a host; a Host of ~/.ssh/config may have capitals.
    at = argument.lower().rindex(host)
    return BoardKernel(
        argument[at : at + len(host)], parts.username or "", port, Path(config) if config else None
    )
