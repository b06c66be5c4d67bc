# SPDX-License-Identifier: MIT
"""What ``scripts/test`` runs, cheapest first; the first failure ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.errors import INTERRUPTED
from harness.host.child import unwind_on_sigterm

ROOT = Path(__file__).resolve().parents[2]

CHECKS = {
    "lint": ["ruff", "check", "harness", "tests", "guest"],
    "format": ["ruff", "format", "--check", "harness", "tests", "guest"],
    # The kernel's style, which .clang-format describes.
    "format of C": [
        "find", "guest", "harness", "tests", "-name", "*.[ch]", "-exec",
        "clang-format", "--dry-run", "--Werror", "{}", "+",
    ],
    "types": ["mypy"],
    "unit tests": ["pytest", "-n", "2", "tests/unit"],
    # Built before the suite's two workers wait for it, so that its progress is seen.
    "kernel": ["mte-harness", "build", "stock"],
}  # fmt: skip
SUITE = [
    "pytest", "--qemu", "-n", "2", "--dist", "worksteal", "tests/validation", "tests/system",
]  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run every check; ``arguments`` go to the suite under QEMU.

    Returns the exit status of the first that fails, 0 if none does.
    """
    unwind_on_sigterm()
    steps = {**CHECKS, "suite under QEMU": [*SUITE, *arguments]}
    for name, argv in steps.items():
        print(f"== {name}: {' '.join(argv)}", flush=True)
        start = time.monotonic()
        try:
            status = _run(argv)
        except KeyboardInterrupt:
            return INTERRUPTED
        if status:
            print(f"== {name}: FAILED", flush=True)
            return status
        print(f"== {name}: passed in {time.monotonic() - start:.0f} s", flush=True)
    return 0


def _run(argv: list[str]) -> int:
    """The exit status of ``argv``, taken from the environment that we run in.

    Ctrl-C reaches it through the terminal; a SIGTERM of ours is passed on. In
    both cases it is waited for: it has guests to end.
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    stop = {signal.SIGTERM, signal.SIGHUP}
    # Held back until the child is known: one that came in between would orphan it.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    child = subprocess.Popen(
        argv,
        cwd=ROOT,
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
