# SPDX-License-Identifier: MIT
"""Progress on a terminal: one live line with a bar, drawn by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from harness.core.progress import percent

if TYPE_CHECKING:
    from typing import Self, TextIO


class TerminalProgress:
    """One live line with a bar, erased at the end.

    Use it as a context manager, so that the cursor comes back whatever happens.
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
        """Start to draw the line."""
        self._rich.start()
        return self

    def __exit__(self, *_: object) -> None:
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
