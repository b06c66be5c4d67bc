# SPDX-License-Identifier: MIT
"""Child processes that never outlive us, and the lines that say how far we are.

Standard library only: it runs before the virtual environment exists.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType


@dataclass(frozen=True)
class Finished:
    """How a child ended: its exit status, and all that it said on both streams."""

    status: int
    output: str

    def tail(self, lines: int = 15) -> str:
        """The last ``lines`` lines that are not empty."""
        return "\n".join([line for line in self.output.splitlines() if line.strip()][-lines:])


def run(
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], bool] = lambda _: False,
    *,
    shielded: bool = False,
) -> Finished:
    """Run ``argv`` to its end, with nothing on its standard input.

    ``on_line`` sees each line as it comes, and keeps it out of ``output`` by
    returning True. If we are interrupted the child is ended first; one that is
    ``shielded``, because it would leave ruins, is waited for instead.
    """
    child = subprocess.Popen(
        argv,
        env=None if env is None else {**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # The terminal's Ctrl-C goes to the foreground process group only.
        process_group=0 if shielded else None,
    )
    assert child.stdout is not None
    try:
        kept = [line for line in child.stdout if not on_line(line.rstrip("\n"))]
        status = child.wait()
    except BaseException:
        if shielded:
            _finish(child)
        else:
            _end(child)
        raise
    finally:
        child.stdout.close()
    return Finished(status, "".join(kept))


def _end(child: subprocess.Popen[str]) -> None:
    """End ``child``, leaving it time to put its own house in order (dpkg, pip)."""
    try:
        child.wait(timeout=1)  # Ctrl-C has reached it too, through the terminal
    except subprocess.TimeoutExpired:
        # sudo's child is root's: only the terminal's Ctrl-C reaches that one.
        with contextlib.suppress(PermissionError):
            child.terminate()
        child.wait()


def _finish(child: subprocess.Popen[str]) -> None:
    """Wait for ``child``, a package manager, whoever grows impatient."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print(
        "\nmte-harness: stopping, once dpkg has finished what it is at", file=sys.stderr, flush=True
    )
    child.communicate()


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def unwind_on_sigterm() -> None:
    """Let SIGTERM and SIGHUP run the clean-up that an exception runs."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)


class Lines:
    """Progress as short lines on a stream; a counter in place on a terminal."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._start = time.monotonic()

    def step(self, text: str) -> None:
        """Say what begins now."""
        self._erase()
        self._start = time.monotonic()
        print(f"mte-harness: {text}", file=self._stream, flush=True)

    def count(self, done: int, total: int) -> None:
        """Say how much of it is done."""
        if self._live:
            self._erase()
            seconds = time.monotonic() - self._start
            share = 100 * done // max(total, 1)
            print(f"  {share:3d} %  {seconds:.0f} s", end="", file=self._stream, flush=True)

    def done(self) -> None:
        """Say how long the last step took."""
        self._erase()
        seconds = time.monotonic() - self._start
        print(f"  done in {seconds:.0f} s", file=self._stream, flush=True)

    def _erase(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=self._stream)
