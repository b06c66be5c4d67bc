# SPDX-License-Identifier: MIT
"""A host that cannot reach itself."""

from __future__ import annotations

import socket

import pytest

from harness.core.errors import HarnessError
from harness.vm.loopback import require_loopback


def test_this_host_reaches_itself() -> None:
    require_loopback()


def test_a_host_without_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `unshare -rn`: bind() works, connect() does not."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(HarnessError, match=r"cannot connect to itself .*ip link set lo up"):
        require_loopback()
