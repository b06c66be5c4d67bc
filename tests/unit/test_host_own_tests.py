# SPDX-License-Identifier: MIT
"""The steps of scripts/test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.host import own_tests


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two checks and a suite, that leave their marks in tmp_path."""
    monkeypatch.setattr(
        own_tests,
        "CHECKS",
        {"first": ["touch", f"{tmp_path}/1"], "second": ["touch", f"{tmp_path}/2"]},
    )
    monkeypatch.setattr(own_tests, "SUITE", ["touch", f"{tmp_path}/3"])


def done(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


def test_all_pass(tmp_path: Path) -> None:
    assert own_tests.run_steps(tmp_path, [f"{tmp_path}/argument"]) == 0
    assert done(tmp_path) == ["1", "2", "3", "argument"]


def test_first_failure_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(own_tests.CHECKS, "second", ["sh", "-c", "exit 5"])
    assert own_tests.run_steps(tmp_path, []) == 5
    assert done(tmp_path) == ["1"]
    assert "== second: FAILED" in capfd.readouterr().out


def test_check_that_a_signal_killed_did_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(own_tests.CHECKS, "second", ["sh", "-c", "kill -9 $$"])
    assert own_tests.run_steps(tmp_path, []) == 128 + signal.SIGKILL


def test_programs_are_those_of_the_environment(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_tests, "SUITE", ["sh", "-c", "echo $PATH"])
    own_tests.run_steps(tmp_path, [])
    assert f"\n{Path(sys.executable).parent}:{os.environ['PATH']}\n" in capfd.readouterr().out


def test_sigterm_is_passed_on_and_waited_for(tmp_path: Path) -> None:
    script = f"trap 'sleep 0.3; echo > {tmp_path}/ended; exit' TERM; echo ready; sleep 60 & wait"
    program = (
        "from harness.host import child, own_tests; from pathlib import Path; import sys;"
        f"child.unwind_on_sigterm(); own_tests.CHECKS = {{}};"
        f"own_tests.SUITE = ['sh', '-c', {script!r}];"
        "sys.exit(own_tests.run_steps(Path(), []))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert "ready\n" in parent.stdout, "the program ended before its check was ready"
        parent.terminate()
        assert parent.wait(20) == 128 + signal.SIGTERM
    assert (tmp_path / "ended").exists()
