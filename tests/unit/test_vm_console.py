# SPDX-License-Identifier: MIT
"""The console is read at all times, kept whole at its head and its tail, and expected on."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING

import pexpect
import pytest

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


def test_expects_patterns_in_order(ends: tuple[socket.socket, Console]) -> None:
    guest, console = ends
    guest.sendall(b"[    0.1] Booting Linux\r\n[    0.2] CPU features: MTE\r\n")
    assert console.expect(["no such text", r"CPU features: (\w+)"], timeout=5) == 1
    assert isinstance(console.match, re.Match)
    assert console.match[1] == "MTE"
    assert console.before == "[    0.1] Booting Linux\r\n[    0.2] "
    with pytest.raises(pexpect.TIMEOUT, match="last lines:"):
        console.expect("Booting Linux", timeout=0.05)  # consumed
    assert console.text() == "[    0.1] Booting Linux\n[    0.2] CPU features: MTE\n"


def test_a_pattern_that_comes_in_pieces(ends: tuple[socket.socket, Console]) -> None:
    guest, console = ends
    guest.sendall(b"mte-harness: re")
    assert console.expect(["mte-harness: ready", pexpect.TIMEOUT], timeout=0.05) == 1
    guest.sendall(b"ady\r\n")
    assert console.expect(["mte-harness: ready", pexpect.TIMEOUT], timeout=5) == 0


def test_a_closed_console_ends_the_wait(ends: tuple[socket.socket, Console]) -> None:
    guest, console = ends
    guest.sendall(b"last words")
    guest.close()
    started = time.monotonic()
    assert console.expect(["ready", pexpect.EOF, pexpect.TIMEOUT], timeout=30) == 1
    assert time.monotonic() - started < 10
    assert console.before == "last words"


def test_a_flood_loses_its_middle(
    ends: tuple[socket.socket, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_HEAD", 1000)
    monkeypatch.setattr(module, "KEEP_TAIL", 1000)
    guest, console = ends
    guest.sendall(b"first\n" + b"flood\n" * 100_000 + b"last\n")  # returns as it is drained
    console.expect_exact("last", timeout=10)
    text = console.text()
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert "bytes of console left out" in text
    assert len(text) < 10_000
    assert len(console.before or "") < 2 * module.READ


def test_a_pattern_beyond_the_window_of_new_text(ends: tuple[socket.socket, Console]) -> None:
    """However much text comes at once, none of it goes unsearched."""
    guest, console = ends
    guest.sendall(b"here\n" + b"x" * (3 * module.WINDOW))
    assert console.expect(["here", pexpect.TIMEOUT], timeout=5) == 0


def test_bytes_that_are_no_text(ends: tuple[socket.socket, Console]) -> None:
    guest, console = ends
    guest.sendall(b"\xff\xfe end\n")
    console.expect("\ufffd\ufffd end", timeout=5)
    assert console.tail(1).endswith("end")
