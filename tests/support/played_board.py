# SPDX-License-Identifier: MIT
"""A guest that plays a board: reached with the ssh configuration of a home directory alone."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.paths import cache_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.guest.guest import Guest
    from harness.suite.session import Session
    from harness.suite.target import Target

ADDRESS = "ssh://root@board"


@dataclass(frozen=True)
class PlayedBoard:
    """The guest, the ``home`` of who reaches it, and the .config that it does not show itself."""

    guest: Guest
    home: Path
    config: Path

    def environment(self) -> dict[str, str]:
        """Return the environment of a command that is to find the board."""
        words = {"HOME": str(self.home), "SSH_AUTH_SOCK": ""}
        return {**os.environ, **words, "MTE_HARNESS_CACHE": str(cache_root())}


@contextlib.contextmanager
def played_board(session: Session, target: Target, home: Path) -> Iterator[PlayedBoard]:
    """Hold a guest that answers at ADDRESS for who has ``home``."""
    template = session.prepare(target)
    ssh = home / ".ssh"
    ssh.mkdir(parents=True)
    with session.guest(template) as guest, guest.reachable(home / "guests") as handle:
        shutil.copy(handle.directory / "known_hosts", ssh / "known_hosts")
        (ssh / "config").write_text(
            f"Host board\n  HostName 127.0.0.1\n  Port {handle.port}\n"
            f"  IdentityFile {handle.directory / 'key'}\n"
        )
        assert template.kernel.config is not None
        yield PlayedBoard(guest, home, template.kernel.config)
