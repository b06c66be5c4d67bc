# SPDX-License-Identifier: MIT
"""The guest's serial console: the kernel's own words, and nothing else.

A thread drains the socket at all times: a full socket would stall the guest
(facts/neighbours.md 2a, "serial stalls"), so that waiting for a pattern, which
pexpect would do, is a look at what has been drained.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from harness.core.deadline import Deadline

# A guest that floods its console loses the middle, not the first splat nor the end.
KEEP_HEAD: Final = 4 * 1024 * 1024
KEEP_TAIL: Final = 1 * 1024 * 1024


class Console:
    """Text of a serial console, from the first byte on."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._drain, name="console", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while True:
            try:
                data = self._stream.recv(65536)
            except OSError:
                data = b""
            with self._changed:
                if data:
                    self._add(data)
                else:
                    self._closed = True
                self._changed.notify_all()
                if self._closed:
                    return

    def _add(self, data: bytes) -> None:
        room = KEEP_HEAD - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * KEEP_TAIL:
            self._dropped += len(self._tail) - KEEP_TAIL
            del self._tail[:-KEEP_TAIL]

    def _bytes(self) -> bytes:
        if not self._dropped:
            return bytes(self._head + self._tail)
        gap = f"\n[{self._dropped} bytes of console left out]\n".encode()
        return bytes(self._head) + gap + bytes(self._tail)

    def text(self) -> str:
        """Everything so far; what is not UTF-8 is shown as U+FFFD."""
        with self._changed:
            data = self._bytes()
        return data.decode("utf-8", "replace").replace("\r\n", "\n")

    def tail(self, lines: int = 40) -> str:
        """The last ``lines`` lines."""
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_for(self, pattern: str, deadline: Deadline) -> bool:
        """Whether ``pattern`` (a regular expression) appears; False when time or guest ends."""
        compiled = re.compile(pattern.encode())
        with self._changed:
            while True:
                if compiled.search(self._head) or compiled.search(self._tail):
                    return True
                if self._closed or deadline.passed():
                    return False
                self._changed.wait(min(deadline.left(), 0.5))

    def close(self) -> None:
        """Ends the thread; the text stays readable."""
        with contextlib.suppress(OSError):  # QEMU closed its end first
            self._stream.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._stream.close()
