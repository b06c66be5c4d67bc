# SPDX-License-Identifier: MIT
"""What git says of a checkout; on a host without git, that there is none."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NO_GIT = 127  # as a shell has it for a command that is not there


def run_git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in ``root``, and return how it ended: with NO_GIT where it is not installed."""
    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, NO_GIT, "", "git is not installed\n")
