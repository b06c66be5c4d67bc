# SPDX-License-Identifier: MIT
"""The console is drained at all times, whole at its head and its tail."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from harness.core.deadline import Deadline
from harness.vm import console as module
from harness.vm.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Console]]:
    ours, theirs = socket.socketpair()
    console = Console(ours)
    yield theirs, console
    theirs.close()
    console.close()


def test_waits_for_a_pattern(ends: tuple[socket.socket, Console]) -> None:
    guest, console = ends
    guest.sendall(b"[    0.1] Booting Linux\r\n")
    assert console.wait_for("Booting Linux", Deadline.after(5))
    assert not console.wait_for("ready", Deadline.after(0.05))
    assert console.text() == "[    0.1] Booting Linux\n"


def test_a_closed_console_ends_the_wait(ends: tuple[socket.socket, Console]) -> None:
    guest, console = ends
    guest.close()
    started = time.monotonic()
    assert not console.wait_for("ready", Deadline.after(30))
    assert time.monotonic() - started < 10


def test_a_flood_loses_its_middle(
    ends: tuple[socket.socket, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_HEAD", 1000)
    monkeypatch.setattr(module, "KEEP_TAIL", 1000)
    guest, console = ends
    guest.sendall(b"first\n" + b"flood\n" * 100_000 + b"last\n")
    assert console.wait_for("last", Deadline.after(10))
    text = console.text()
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert "bytes of console left out" in text
    assert len(text) < 10_000


def test_bytes_that_are_no_text(ends: tuple[socket.socket, Console]) -> None:
    guest, console = ends
    guest.sendall(b"\xff\xfe end\n")
    assert console.wait_for("end", Deadline.after(5))
    assert console.tail(1).endswith("end")
