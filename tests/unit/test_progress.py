# SPDX-License-Identifier: MIT
"""Progress as lines: on a pipe, on a terminal, and without a package installed."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from harness.core import progress as module
from harness.core.progress import PlainProgress, percent

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    now = 100.0
    monkeypatch.setattr("harness.core.progress.time.monotonic", lambda: now)
    with PlainProgress(stream) as progress:
        progress.step("one")
        progress.count(1, 4)
        now += module.PERCENT_EVERY_S
        progress.count(2, 4)
        progress.count(3, 4)
        progress.step("two")
    assert stream.getvalue() == "one\none: 50 %\ntwo\n"


def test_a_terminal_shows_the_percentage_in_place() -> None:
    stream = Terminal()
    with PlainProgress(stream) as progress:
        progress.step("one")
        progress.count(1, 4)
    erase = module.ERASE_LINE
    assert stream.getvalue() == f"{erase}one\n{erase}one: 25 %{erase}"


def test_a_terminal_gets_whole_lines_outside_of_a_with_block() -> None:
    stream = Terminal()
    progress = PlainProgress(stream)
    progress.step("one")
    progress.count(1, 4)
    assert stream.getvalue() == "one\n"


@pytest.mark.parametrize(
    ("done", "total", "shown"), [(0, 4, 0), (3, 4, 75), (4, 4, 99), (9, 4, 99), (1, 0, 0)]
)
def test_an_estimate_is_never_shown_as_reached(done: int, total: int, shown: int) -> None:
    assert percent(done, total) == shown


def test_bootstrap_needs_the_standard_library_only() -> None:
    """-I -S: no site-packages, so that an import of a package fails."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import harness.host.bootstrap"
    subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", program], check=True, timeout=60)
