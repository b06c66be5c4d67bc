# SPDX-License-Identifier: MIT
"""Runs child processes that never outlive this one.

Standard library only: it runs before the virtual environment exists.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType


@dataclass(frozen=True)
class Finished:
    """The end of a child: its exit status, and its output on both streams."""

    status: int
    output: str

    def tail(self, lines: int = 15) -> str:
        """Return the last ``lines`` lines of the output that are not empty."""
        return "\n".join([line for line in self.output.splitlines() if line.strip()][-lines:])


def run(
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], bool] = lambda _: False,
    *,
    shielded: bool = False,
) -> Finished:
    """Run ``argv`` to its end, with an empty standard input.

    ``on_line`` gets each line as it is printed, and returns True to keep it out of ``output``. An
    exception (Ctrl-C, SIGTERM) ends the child before it is passed on. A ``shielded`` child, such as
    dpkg, which must not be interrupted, is waited for instead.
    """
    child = subprocess.Popen(
        argv,
        env=None if env is None else {**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Ctrl-C at a terminal signals the foreground process group: a shielded child leaves it.
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
    """End ``child``, and wait until it has cleaned up after itself (pip removes its files)."""
    try:
        child.wait(timeout=1)  # Ctrl-C at the terminal has reached the child, too
    except subprocess.TimeoutExpired:
        # A child of sudo runs as root: this process may not signal it, only the terminal can.
        with contextlib.suppress(PermissionError):
            child.terminate()
        child.wait()


def _finish(child: subprocess.Popen[str]) -> None:
    """Wait for ``child`` and ignore further signals: ending dpkg in mid-run breaks the host."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print("\nmte-harness: stopping as soon as dpkg has finished", file=sys.stderr, flush=True)
    child.communicate()


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def unwind_on_sigterm() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that clean-up runs as for an exception."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
