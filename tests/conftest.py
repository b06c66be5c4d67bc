# SPDX-License-Identifier: MIT
"""Fixtures of all tests: Ctrl-C reaches them, and ``cli`` runs the command."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import checkout
from tests.support.command import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable


def pytest_configure() -> None:
    # A shell starts its background jobs with SIGINT ignored, and children inherit that (sh(1),
    # "Asynchronous Lists"): tests of Ctrl-C would wait until their time limit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``mte-harness`` in a child process, as a user does."""

    def run(*words: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            cwd=checkout("the tests"),
            env={**os.environ, **env},
        )

    return run
