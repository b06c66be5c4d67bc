# SPDX-License-Identifier: MIT
"""Whether this host can reach itself at 127.0.0.1, where QEMU forwards the guest's SSH port.

Without it (unshare -n, a container whose lo is down) every guest would look lost.
"""

from __future__ import annotations

import socket

from harness.core.errors import HarnessError

ADDRESS = "127.0.0.1"
SECONDS = 5.0


def require_loopback() -> None:
    """Raise HarnessError unless a connection to 127.0.0.1 can be made."""
    try:
        with (
            socket.create_server((ADDRESS, 0)) as server,
            socket.create_connection(server.getsockname(), timeout=SECONDS),
        ):
            pass
    except OSError as error:
        raise HarnessError(
            f"this host cannot connect to itself at {ADDRESS}: {error}", "ip link set lo up"
        ) from error
