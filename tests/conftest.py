# SPDX-License-Identifier: MIT
"""What all tests need: their process as they expect it, and the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COMMAND = str(Path(sys.executable).parent / "mte-harness")


def pytest_configure() -> None:
    # A shell starts what runs in its background with SIGINT ignored, and children inherit
    # that (sh(1), "Asynchronous Lists"): tests of Ctrl-C would wait for nothing.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``mte-harness`` as a user does."""

    def run(*words: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            cwd=resources(),
            env={**os.environ, **env},
        )

    return run


def few(frames: Iterable[int]) -> list[str]:
    """The first of many frames: pytest would take minutes to compare all."""
    return [hex(pfn) for pfn in sorted(frames)[:8]]
