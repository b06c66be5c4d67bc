# SPDX-License-Identifier: MIT
"""Commands of a build: their output kept in a log, and no process left when they end."""

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

GRACE_S = 20.0  # make deletes half-written targets in this time


def run_logged(
    argv: Sequence[str],
    log: IO[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
) -> int:
    """Run ``argv`` in a process group of its own; return its exit status.

    Each line of its two streams goes to ``log`` and to ``on_line``. If this is interrupted, the
    group is ended first. If this process is killed, setpriv(1) lets the kernel send SIGTERM to
    ``argv``: make then ends its children and deletes the targets that they were writing.
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
    """End every process of the group that ``child`` leads."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
