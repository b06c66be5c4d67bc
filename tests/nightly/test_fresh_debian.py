# SPDX-License-Identifier: MIT
"""Both commands of the README on a fresh Debian, made by scripts/in-debian. Needs root."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import checkout

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = checkout("the tests") / "scripts" / "in-debian"


@pytest.mark.usefixtures("harness_session")  # left out without --qemu
@pytest.mark.parametrize("release", ["12", "13"])
@pytest.mark.parametrize("command", ["scripts/validate debian:7.3", "scripts/test"])
def test_a_command_of_the_readme(command: str, release: str) -> None:
    done = subprocess.run(
        [SCRIPT, release, *command.split()],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.usefixtures("harness_session")
def test_a_signal_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    child = subprocess.Popen(
        [SCRIPT, "13", "sh", "-c", "setsid sleep 1000 & echo ready; exec sleep 1000"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=60) == 128 + signal.SIGTERM
    assert child.stdout.read() == ""  # both processes, which had the pipe open, have ended
    child.stdout.close()
    assert not list(tmp_path.iterdir())
