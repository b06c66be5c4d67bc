# SPDX-License-Identifier: MIT
"""A command whose output goes to a log, and whose children end with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import IO

GRACE_S = 20.0  # the time that make gets to delete half-written targets


def run_logged(
    argv: Sequence[str],
    log: IO[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
) -> int:
    """Run ``argv`` in a process group of its own; return its exit status.

    Each line of standard output and standard error goes to ``log`` and to ``on_line``. An exception
    (Ctrl-C) ends the process group before it is passed on. If this process is killed, the kernel
    sends SIGTERM to ``argv`` (setpriv(1) --pdeathsig): make then ends its children and deletes the
    targets that they were writing.
    """
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *argv],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        with child.stdout:
            for line in child.stdout:
                log.write(line)
                on_line(line.rstrip("\n"))
        return child.wait()
    except BaseException:
        _end_group(child)
        raise


def _end_group(child: subprocess.Popen[str]) -> None:
    """End every process of the group of ``child``: SIGTERM, then SIGKILL after GRACE_S seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
