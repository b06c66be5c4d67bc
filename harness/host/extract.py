# SPDX-License-Identifier: MIT
"""Unpacks an archive with a command, such as tar(1), into a directory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, reports_disk_full
from harness.core.run_logged import run_logged
from harness.core.toolchain import clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Before a shell line that is a pipe: it fails if any part of it does.
PIPE = ("bash", "-o", "pipefail", "-c")
_KEPT = 10  # lines of output for a message


def extract(argv: Sequence[str], directory: Path) -> list[str] | None:
    """Run ``argv`` in ``directory``; return None, or the end of its output if it failed.

    Raise DiskFullError.
    """
    output: list[str] = []
    environment = clean_environment()
    status = run_logged(argv, io.StringIO(), cwd=directory, env=environment, on_line=output.append)
    if not status:
        return None
    tail = output[-_KEPT:]
    if reports_disk_full("\n".join(tail)):
        raise disk_full(directory)
    return tail
