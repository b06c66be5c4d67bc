# SPDX-License-Identifier: MIT
"""Progress of long steps: a line for each step, and how much of it is done.

Standard library only: host/ uses it before the virtual environment exists.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self, TextIO

PERCENT_EVERY_S = 10.0
ERASE_LINE = "\r\033[K"


class Progress(Protocol):
    """Receives the steps of every function that can take longer than a second."""

    def step(self, text: str) -> None:
        """Begin the next step, which ends the one before."""

    def count(self, done: int, total: int) -> None:
        """Report how much of the step is done; ``total`` may be an estimate."""


class Silent:
    """Reports nothing."""

    def step(self, text: str) -> None:
        """Ignore the step."""

    def count(self, done: int, total: int) -> None:
        """Ignore the count."""


class PlainProgress:
    """Prints a line for each step, and a percentage every ten seconds.

    As a context manager on a terminal, it shows the percentage in place instead, and erases it at
    the end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._last = 0.0
        self._in_place = False

    def __enter__(self) -> Self:
        """Show percentages in place, if the stream is a terminal."""
        self._in_place = self._stream.isatty()
        return self

    def __exit__(self, *_: object) -> None:
        """Erase the percentage."""
        if self._in_place:
            self._write(ERASE_LINE)
            self._in_place = False

    def step(self, text: str) -> None:
        """Print the step."""
        self._text = text
        self._last = time.monotonic()
        self._write(f"{ERASE_LINE if self._in_place else ''}{text}\n")

    def count(self, done: int, total: int) -> None:
        """Show the percentage; without a terminal, only if the last line is old enough."""
        line = f"{self._text}: {percent(done, total)} %"
        now = time.monotonic()
        if self._in_place:
            self._write(f"{ERASE_LINE}{line}")
        elif now - self._last >= PERCENT_EVERY_S:
            self._last = now
            self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def percent(done: int, total: int) -> int:
    """Return 0 to 99: an estimated total is never shown as reached before the step ends."""
    return min(99, 100 * done // total) if total > 0 else 0


def plain_progress() -> PlainProgress:
    """Return a PlainProgress on standard error."""
    return PlainProgress(sys.stderr)
