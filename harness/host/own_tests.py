# SPDX-License-Identifier: MIT
"""The steps of ``scripts/test``, cheapest first; the first failure ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKS = {
    "lint": ["ruff", "check", "harness", "tests", "guest"],
    "format": ["ruff", "format", "--check", "harness", "tests", "guest"],
    "imports": ["lint-imports", "--no-cache", "--no-logo"],
    "dead code": ["vulture"],
    # The kernel's style, which .clang-format describes.
    "format of C": [
        "find", "guest", "harness", "tests", "-name", "*.[ch]", "-exec",
        "clang-format", "--dry-run", "--Werror", "{}", "+",
    ],
    "types": ["mypy"],
    "unit tests": ["pytest", "-n", "2", "tests/unit"],
    # Before the suite, so that the progress of the build is visible.
    "kernel": ["mte-harness", "build", "stock"],
}  # fmt: skip
SUITE = [
    "pytest", "--qemu", "-n", "2", "--dist", "worksteal", "tests/validation", "tests/system",
]  # fmt: skip


def run_steps(root: Path, arguments: Sequence[str]) -> int:
    """Run every check in the checkout ``root``; ``arguments`` go to the suite under QEMU.

    Return the exit status of the first step that fails, or 0.
    """
    steps = {**CHECKS, "suite under QEMU": [*SUITE, *arguments]}
    for name, argv in steps.items():
        print(f"== {name}: {' '.join(argv)}", flush=True)
        start = time.monotonic()
        status = _run(argv, root)
        if status:
            print(f"== {name}: FAILED", flush=True)
            return status
        print(f"== {name}: passed in {time.monotonic() - start:.0f} s", flush=True)
    return 0


def _run(argv: list[str], root: Path) -> int:
    """Run ``argv`` from this Python's environment; return its exit status.

    Ctrl-C reaches the child through the terminal, and a SIGTERM of ours is passed on. In both
    cases the child is waited for, because it has guests to end.
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    stop = {signal.SIGTERM, signal.SIGHUP}
    # Blocked until Popen returns: a signal that came earlier would leave the child running.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    child = subprocess.Popen(
        argv,
        cwd=root,
        env=environment,
        preexec_fn=lambda: signal.pthread_sigmask(  # noqa: PLW1509 - no other thread runs here
            signal.SIG_UNBLOCK, stop
        ),
    )
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stop)
        status = child.wait()
    except SystemExit:
        child.terminate()
        raise
    finally:
        child.wait()
    return 128 - status if status < 0 else status
