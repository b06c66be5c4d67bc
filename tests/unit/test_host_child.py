# SPDX-License-Identifier: MIT
"""Children end with us, or are waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from harness.host.child import Finished, run

if TYPE_CHECKING:
    from pathlib import Path

PARENT = """
import sys
from harness.host.child import run, unwind_on_sigterm
unwind_on_sigterm()
run(["sh", "-c", sys.argv[1]], on_line=lambda line: bool(print(line, flush=True)),
    shielded=sys.argv[2] == "shielded")
"""


def parent(script: str, kind: str) -> subprocess.Popen[str]:
    """Return a process that runs ``script`` with `run`, once the script has printed "ready"."""
    started = subprocess.Popen(
        [sys.executable, "-c", PARENT, script, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_output_and_status() -> None:
    result = run(["sh", "-c", "echo out; echo err >&2; echo $X; exit 3"], {"X": "set"})
    assert result == Finished(3, "out\nerr\nset\n")


def test_no_standard_input() -> None:
    assert run(["cat"]) == Finished(0, "")


def test_lines_that_are_taken_are_not_kept() -> None:
    seen: list[str] = []

    def take(line: str) -> bool:
        seen.append(line)
        return line == "b"

    assert run(["printf", "a\\nb\\nc"], on_line=take).output == "a\nc"
    assert seen == ["a", "b", "c"]


def test_tail() -> None:
    assert Finished(1, "a\n\nb\nc\n\n").tail(2) == "b\nc"


def test_sigterm_ends_the_child(tmp_path: Path) -> None:
    script = f"trap 'echo ended > {tmp_path}/end; exit' TERM; echo ready; sleep 60 & wait"
    with parent(script, "plain") as started:
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 128 + signal.SIGTERM
    assert (tmp_path / "end").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_shielded_child_finishes_its_work(tmp_path: Path, number: signal.Signals) -> None:
    script = f"echo ready; sleep 1; echo more; echo done > {tmp_path}/end"
    with parent(script, "shielded") as started:
        # The whole group, as the terminal's Ctrl-C.
        os.killpg(started.pid, number)
        time.sleep(0.2)
        os.killpg(started.pid, number)
        assert started.wait(20) != 0
    assert (tmp_path / "end").exists()
