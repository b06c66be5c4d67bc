# SPDX-License-Identifier: MIT
"""The guest's serial console, which carries the kernel's log and nothing else.

A thread reads the socket at all times, because a full socket stalls the guest
(docs/facts/neighbours.md 2a, "serial stalls"). pexpect's ``expect`` then waits on what
the thread has read instead of on the socket.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

import pexpect
from pexpect.spawnbase import SpawnBase

from harness.core.printable import printable

if TYPE_CHECKING:
    Base = SpawnBase[str]  # generic in its stubs only
else:
    Base = SpawnBase

# Of a guest that floods its console the middle is dropped: the head has the first splat,
# the tail shows how the guest ended.
KEEP_HEAD: Final = 4 * 1024 * 1024
KEEP_TAIL: Final = 1 * 1024 * 1024
# What `expect` searches: a pattern that lies further back than this before the end of
# unmatched text is not found, so that a flood costs no quadratic time.
WINDOW: Final = 256 * 1024
READ: Final = 64 * 1024


class Console(Base):
    """The text of a serial console, from its first byte on.

    ``expect`` (pexpect) waits for a pattern in what no earlier ``expect`` has consumed;
    `text` is everything, consumed or not. Lines end in CR LF for ``expect`` and in LF in
    `text`.
    """

    _before: io.StringIO  # of SpawnBase: the unmatched text, whole

    def __init__(self, stream: socket.socket) -> None:
        super().__init__(
            maxread=READ, searchwindowsize=WINDOW, encoding="utf-8", codec_errors="replace"
        )
        self.delayafterread = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._stream = stream
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._consumed = 0  # by expect, in bytes from the first on
        self._changed = threading.Condition()
        self._ended = False
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
                    self._ended = True
                self._changed.notify_all()
                if self._ended:
                    return

    def _add(self, data: bytes) -> None:
        room = KEEP_HEAD - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * KEEP_TAIL:
            self._dropped += len(self._tail) - KEEP_TAIL
            del self._tail[:-KEEP_TAIL]

    def _unread(self, size: int) -> bytes:
        """Return up to ``size`` bytes after ``_consumed``, without those dropped meanwhile."""
        if self._consumed < len(self._head):
            data = self._head[self._consumed : self._consumed + size]
        else:
            tail = len(self._head) + self._dropped  # the position of the tail's first byte
            self._consumed = max(self._consumed, tail)
            data = self._tail[self._consumed - tail : self._consumed - tail + size]
        self._consumed += len(data)
        return bytes(data)

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> str:
        """Return text that the thread has read, waiting for it up to ``timeout`` seconds.

        Raise pexpect.EOF when QEMU has closed the console, and pexpect.TIMEOUT.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not (data := self._unread(size)):
                if self._ended:
                    raise pexpect.EOF("QEMU has closed the console")
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise pexpect.TIMEOUT("no output on the console")
                self._changed.wait(left)
        if self._before.tell() > KEEP_HEAD:  # the text that `before` gives is bounded, too
            self._before = io.StringIO()
        return self._decode(data)

    def _bytes(self) -> bytes:
        if not self._dropped:
            return bytes(self._head + self._tail)
        gap = f"\n[{self._dropped} bytes of console left out]\n".encode()
        return bytes(self._head) + gap + bytes(self._tail)

    def text(self) -> str:
        """Return the whole text so far; a byte that is not UTF-8 becomes U+FFFD.

        Characters that would act on a terminal are spelled out.
        """
        with self._changed:
            data = self._bytes()
        return printable(data.decode("utf-8", "replace").replace("\r\n", "\n"))

    def tail(self, lines: int = 40) -> str:
        """Return the last ``lines`` lines of the text."""
        return "\n".join(self.text().splitlines()[-lines:])

    def __str__(self) -> str:
        """Return the last lines: pexpect's exceptions show this."""
        return f"console, last lines:\n{self.tail()}"

    def close(self) -> None:
        """End the thread; the text stays readable."""
        with contextlib.suppress(OSError):  # QEMU closed its end first
            self._stream.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._stream.close()
