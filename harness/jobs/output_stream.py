# SPDX-License-Identifier: MIT
"""Standard output and standard error of this process, which the user may have closed or filled.

What cannot be written is the host's trouble, and never a verdict on the kernel.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys

from harness.core.printable import printable


class OutputStream:
    """Writes a guest program's output to ours as it comes; to a terminal, printable().

    A channel that cannot be written (a full disk, a pipe whose reader left) is given up with one
    line on standard error; the program goes on, and gets its verdict.
    """

    def __init__(self) -> None:
        self._lost: set[str] = set()
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decode = {channel: decoder("replace").decode for channel in ("stdout", "stderr")}

    def __call__(self, channel: str, data: bytes) -> None:
        """Write ``data`` to the channel, "stdout" or "stderr"."""
        if channel in self._lost:
            return
        stream = sys.stdout if channel == "stdout" else sys.stderr
        try:
            stream.flush()
            if stream.isatty():
                data = printable(self._decode[channel](data)).encode()
            _write_all(stream.fileno(), data)
        except (OSError, ValueError) as error:
            self._lost.add(channel)
            say(f"mte-harness: the program's {channel} cannot be written: {error}")


def _write_all(descriptor: int, data: bytes) -> None:
    """Write ``data``, also to a pipe that is full and that somebody made non-blocking."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def say(text: str) -> None:
    """Print a line on standard error, if that can be written at all."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def open_missing_streams() -> None:
    """Open /dev/null for each standard stream that is closed.

    Otherwise the next file that is opened gets its number, and what is printed goes there.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one, as those below it are open.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115


def spell_out() -> None:
    """Let the standard streams write what their encoding lacks, such as a ✓, as ``\\u2713``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_streams() -> None:
    """Write what is buffered; what cannot be written is dropped.

    Python ends with status 120 when its last flush fails (Python/pylifecycle.c, flush_std_files()).
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
