# SPDX-License-Identifier: MIT
"""The keeper of a visit (guest/board/): it guards a board's state, and sends its kernel's log."""

from __future__ import annotations

import shlex
import threading
import time
from typing import TYPE_CHECKING

from harness.core.errors import BoardBusyError, BoardLeftError, BoardUnfitError
from harness.core.printable import printable
from harness.guest.ssh import BROKEN, SshError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.deadline import Deadline
    from harness.guest.ssh import SshConnection
    from harness.kernel import BoardKernel

# In a tmpfs, so that nothing is installed. One name for all: who made it has the board.
DIRECTORY = "/dev/shm/mte-harness"
KEEPER = f"{DIRECTORY}/keeper"
MARK = "\x01"  # begins a line that is the keeper's own, as in guest/board/keeper.h
BEAT_SECONDS = 10.0  # the keeper gives up after 60 s of silence (keeper.c, SILENCE)

# Makes the directory, takes the program from standard input, and runs it. What is cut off on
# the way is removed at once.
_START = """umask 077
if ! mkdir {d} 2>/dev/null; then
  p=$(cat {d}/guard 2>/dev/null)
  if [ -z "$p" ] || kill -0 $p 2>/dev/null; then
    printf '\\001busy another run of mte-harness is there\\n'; exit
  fi
  printf '\\001stale %s\\n' {d}; exit
fi
mkdir -p {d}/tmp {d}/run/files {d}/shm && chmod 1777 {d}/tmp {d}/shm && chmod 755 {d}/run &&
head -c {size} > {d}/keeper && [ $(wc -c < {d}/keeper) = {size} ] && chmod 700 {d}/keeper &&
{d}/keeper guard {d} {device}
[ -e {d} ] && rm -rf {d} && printf '\\001unfit no program runs in %s: is it mounted noexec?\\n' {d}
"""


class Keeper:
    """The keeper on a board, and what it has said so far; it ends with close()."""

    def __init__(
        self, connection: SshConnection, program: Path, device: str, board: BoardKernel
    ) -> None:
        self._connection = connection
        self._board = board
        self._data = program.read_bytes()
        self._device = device
        self._changed = threading.Condition()
        self._log: list[str] = []
        self._said: list[tuple[str, str]] = []
        self._ended = self._sent = False

    def start(self, deadline: Deadline) -> None:
        """Begin to guard. Raise BoardBusyError, BoardUnfitError, BoardLeftError or SshError."""
        self._channel = self._connection.open_channel(deadline)
        line = _START.format(
            d=DIRECTORY, size=len(self._data), device=shlex.quote(self._device or "")
        )
        try:
            self._channel.exec_command(line)
        except BROKEN as error:
            raise SshError(f"the keeper cannot be started: {error}") from error
        self._channel.settimeout(1.0)
        threading.Thread(target=self._read, daemon=True, name="keeper of a board").start()
        self._send(self._data)  # cut off where the shell has ended, and said why
        self._sent = True
        word, text = self._wait({"ready", "busy", "unfit", "stale"}, deadline)
        if word == "ready":
            return
        try:
            details = "\n".join(self.close(deadline))
        except SshError:  # it was not even started
            details = ""
        if word == "busy":
            raise BoardBusyError(
                f"{self._board} is busy: {text}",
                "wait for the other run to end; for its swap: end programs, it needs the memory",
                details,
            )
        if word == "stale":
            raise BoardLeftError(
                f"a run that was killed on {self._board} has left {DIRECTORY} there, and maybe "
                "settings",
                f"reboot it, or remove that directory: ssh {self._board} rm -r {DIRECTORY}",
            )
        raise BoardUnfitError(f"{self._board}: {text}", "see docs/board.md", details)

    def _read(self) -> None:
        rest, beaten = b"", time.monotonic()
        while True:
            try:
                data = self._channel.recv(65536)
                if not data:
                    break
            except TimeoutError:
                data = b""
            except (OSError, EOFError):
                break
            *lines, rest = (rest + data).split(b"\n")
            with self._changed:
                for line in lines:
                    self._take(line.decode("utf-8", "replace"))
                self._changed.notify_all()
            # A beat in the middle of the program would be a part of it.
            if self._sent and time.monotonic() - beaten > BEAT_SECONDS:
                beaten = time.monotonic()
                self._send(b"\n")
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, line: str) -> None:
        if line.startswith(MARK):
            word, _, text = line[1:].partition(" ")
            self._said.append((word, printable(text)))
        else:
            self._log.append(printable(line))

    def _send(self, data: bytes) -> None:
        """Send all of ``data``, unless the other end is gone: then the reader notices it, too."""
        while data and not self._ended:
            try:
                data = data[self._channel.send(data) :]
            except TimeoutError:
                continue  # the board takes its time
            except (OSError, EOFError):
                return

    def _wait(self, words: set[str], deadline: Deadline, after: int = 0) -> tuple[str, str]:
        """Return the first of ``words`` that was said, after the first ``after`` words.

        Raise SshError if the keeper ends, or is silent, before that.
        """
        with self._changed:
            while True:
                for word, text in self._said[after:]:
                    if word in words:
                        return word, text
                if self._ended:
                    raise SshError("the keeper on the board has ended")
                if deadline.passed():
                    raise SshError(f"the keeper is silent for {deadline.seconds:.0f} s")
                self._changed.wait(max(0.01, min(1.0, deadline.left())))

    def is_alive(self) -> bool:
        """Return whether it still guards, as far as this end knows."""
        return not self._ended

    def said(self, word: str) -> list[str]:
        """Return what the keeper has said under a word."""
        with self._changed:
            return [text for name, text in self._said if name == word]

    def log(self) -> str:
        """Return the kernel's log as far as it is here."""
        with self._changed:
            return "".join(f"{line}\n" for line in self._log)

    def synced_log(self, deadline: Deadline) -> str:
        """Return the kernel's log up to now.

        Raise SshError if the keeper is gone, BoardUnfitError if records were lost.
        """
        with self._changed:
            after = len(self._said)
        self._send(b"s\n")
        self._wait({"sync"}, deadline, after)
        if self.said("overrun"):
            raise BoardUnfitError(
                f"the kernel of {self._board} printed more than its log holds: a splat may be lost",
                "log_buf_len=16M on its command line",
            )
        return self.log()

    def close(self, deadline: Deadline) -> list[str]:
        """Let the board be put back as it was; return what was not, one line each.

        Raise SshError if the connection is gone: then the keeper does the same by itself.
        """
        try:
            self._send(b"q\n")
            self._wait({"restored"}, deadline)
        finally:
            self._channel.close()
        return self.said("left")
