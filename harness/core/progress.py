# SPDX-License-Identifier: MIT
"""What a long step tells the person who waits: one line a step, and how far it is."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TextIO

PERCENT_EVERY_S = 10.0


class Progress(Protocol):
    """Where steps are announced. Every function that can take longer than a second has one."""

    def step(self, text: str) -> None:
        """Begin the next step, which ends the one before."""

    def count(self, done: int, total: int) -> None:
        """Tell how much of the step is done; ``total`` may be an estimate."""


class Silent:
    """Tells nobody."""

    def step(self, text: str) -> None:
        """Ignore the step."""

    def count(self, done: int, total: int) -> None:
        """Ignore the count."""


class PlainProgress:
    """For a log file or a pipe: a line a step, and a percentage every ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._last = 0.0

    def step(self, text: str) -> None:
        """Print the step."""
        self._text = text
        self._last = time.monotonic()
        self._print(text)

    def count(self, done: int, total: int) -> None:
        """Print the percentage, if the last line is old enough."""
        now = time.monotonic()
        if now - self._last >= PERCENT_EVERY_S:
            self._last = now
            self._print(f"{self._text}: {percent(done, total)} %")

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class TerminalProgress:
    """For a person at a terminal: one live line with a bar, erased at the end.

    Use as a context manager, so that the cursor comes back whatever happens.
    """

    def __init__(self, stream: TextIO) -> None:
        self._rich = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[share]}"),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Start to draw."""
        self._rich.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Erase the line and give the terminal back."""
        self._rich.stop()

    def step(self, text: str) -> None:
        """Show the step in place of the one before."""
        if self._task is not None:
            self._rich.remove_task(self._task)
        self._task = self._rich.add_task(text, total=None, share="")

    def count(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._task is not None:
            share = f"{percent(done, total)} %"
            self._rich.update(self._task, completed=done, total=max(done, total), share=share)


def percent(done: int, total: int) -> int:
    """Return 0 to 99: an estimated total is never shown as reached before the step ends."""
    return min(99, 100 * done // total) if total > 0 else 0


def plain_progress() -> PlainProgress:
    """Return the progress for standard error when nobody watches it live."""
    return PlainProgress(sys.stderr)
