# SPDX-License-Identifier: MIT
"""``mte-harness history`` and ``compare`` on the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.paths import resources
from harness.history.night import State
from harness.jobs import command_line, exit_status
from tests.unit.night_sample import keep, name_of, nights, ran, run_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command on the results in tmp_path; return its status and both outputs."""
    monkeypatch.setattr(exit_status, "unwind_on_sigterm", lambda: None)

    def run(*words: str) -> tuple[int, str, str]:
        argv = ["mte-harness", *words, "--results", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as caught:
            command_line.main()
        assert isinstance(caught.value.code, int)
        return (caught.value.code, *capsys.readouterr())

    return run


def test_history_of_a_test(tmp_path: Path, command: Command) -> None:
    nights(tmp_path, {"swap/swap_disk": "ppf", "swap/swap_disk_2": "ppp"})
    status, out, _ = command("history", "swap_disk")
    assert status == errors.OK
    assert out.splitlines() == [
        "swap/swap_disk on stock@emulator",
        "  ✓✓✗  2 passes, 1 failures, 1 flips, last 1 failed",
        f"  fail on {name_of(3)}",
        f"  pass from {name_of(1)} to {name_of(2)}, 2 runs",
    ]
    assert "swap_disk_2" in command("history", "disk_2")[1]
    assert command("history", "swap_d")[1].count("stock@emulator") == 2


def test_history_of_a_test_that_ran_long_ago(tmp_path: Path, command: Command) -> None:
    nights(tmp_path, {"old": "f" + "-" * 27, "other": "p" * 28})
    for night in range(29, 31):
        keep(tmp_path, run_of(night, [ran("other")]))
    assert f"fail on {name_of(1)}" in command("history", "old")[1]


def test_two_nights(tmp_path: Path, command: Command) -> None:
    nights(tmp_path, {"a": "ppf", "b": "fpp", "c": "pp-", "d": "--p", "e": "ppp"})
    status, out, _ = command("compare", name_of(1), name_of(3))
    assert status == errors.PROGRAM_FAILED
    assert "REGRESSION (1)\n  a stock@emulator: pass → fail\n" in out
    assert "DISAPPEARED (1)\n  c stock@emulator: pass → nothing\n" in out
    assert "FIXED (1)\n  b stock@emulator: fail → pass\n" in out
    assert "APPEARED (1)\n  d stock@emulator: nothing → pass\n" in out
    assert out.endswith("1 tests and cases are the same\n")
    assert command("compare", name_of(1), name_of(2))[0] == errors.OK


def test_two_kernels_of_the_last_night(tmp_path: Path, command: Command) -> None:
    keep(
        tmp_path,
        run_of(1, [ran("a"), ran("b", cases={State.PASS: ("one",)})]),
        run_of(1, [ran("a", State.LOST, kernel="debug"), ran("b", kernel="debug")], entry="x"),
    )
    status, out, _ = command("compare", "stock", "debug")
    assert status == errors.PROGRAM_FAILED
    assert "REGRESSION (1)\n  a emulator: pass → lost\n" in out
    assert "DISAPPEARED (1)\n  b one emulator: pass → nothing\n" in out


def test_what_a_shorter_night_left_out_has_not_gone(tmp_path: Path, command: Command) -> None:
    keep(tmp_path, run_of(1, [ran("a")]), run_of(1, [ran("b", kernel="debug")], entry="debug"))
    keep(tmp_path, run_of(2, [ran("a", State.ERROR)]), run_of(3, [ran("a", State.ERROR)]))
    status, out, _ = command("compare", name_of(1), name_of(2))
    assert status == errors.PROGRAM_FAILED
    assert "DISAPPEARED" not in out
    assert "COULD NOT RUN (1)\n  a stock@emulator: pass → error\n" in out
    assert command("compare", name_of(2), name_of(3))[0] == errors.OK


CODE = "from harness.cli import main; main()"


def test_a_terminal_that_is_not_of_utf_8(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pf"})
    done = subprocess.run(
        [sys.executable, "-c", CODE, "history", "swap", "--results", str(tmp_path)],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
        cwd=resources(),
    )
    assert (done.returncode, b"\\u2713\\u2717" in done.stdout) == (errors.OK, True), done.stderr


@pytest.mark.parametrize("words", [("history", "none"), ("compare", "stock", "none")])
def test_words_that_name_nothing(tmp_path: Path, command: Command, words: tuple[str, ...]) -> None:
    nights(tmp_path, {"swap": "p"})
    status, _, err = command(*words)
    assert (status, "'none'" in err) == (errors.UsageError.status, True)


@pytest.mark.parametrize("words", [("history", "x"), ("compare", "x", "y")])
def test_no_results(tmp_path: Path, command: Command, words: tuple[str, ...]) -> None:
    assert command(*words)[0] == errors.UsageError.status
    shutil.rmtree(tmp_path)
    status, _, err = command(*words)
    assert (status, "there are no results" in err) == (errors.UsageError.status, True)
    assert not tmp_path.exists()
