# SPDX-License-Identifier: MIT
"""The command line: every way out is a documented status, and never a traceback."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.core import errors

COMMAND = Path(sys.executable).parent / "mte-harness"


def mte_harness(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words], capture_output=True, text=True, check=False, env={**os.environ}
    )


def statuses() -> dict[str, int]:
    classes = inspect.getmembers(errors, inspect.isclass)
    return {n: c.status for n, c in classes if issubclass(c, errors.HarnessError)}


def test_statuses_are_distinct() -> None:
    own = {name: status for name, status in statuses().items() if name != "KernelError"}
    own |= {"INTERRUPTED": errors.INTERRUPTED, "INTERNAL": errors.INTERNAL}
    assert len(set(own.values())) == len(own)


def test_git_bisect_stops_at_the_hosts_troubles() -> None:
    for name, status in statuses().items():
        if name not in ("BuildError", "BootError", "GuestLostError"):
            assert status >= 128, name


def test_help_tells_the_statuses() -> None:
    done = mte_harness("--help")
    assert done.returncode == 0
    assert "125  the kernel does not build" in done.stdout


@pytest.mark.parametrize(
    "words",
    [("frobnicate",), ("run",), ("run", "stock"), ("validate", "--machine", "toaster"),
     ("build", "no-such-recipe")],
)  # fmt: skip
def test_wrong_words(words: tuple[str, ...]) -> None:
    done = mte_harness(*words)
    assert done.returncode == errors.UsageError.status
    assert "Traceback" not in done.stderr


def test_clean_keeps_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTE_HARNESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "templates" / "x").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    assert mte_harness("clean", "../precious").returncode == errors.UsageError.status
    assert (tmp_path / "precious").exists()
    assert mte_harness("clean", "templates").returncode == 0
    assert not (tmp_path / "cache" / "templates").exists()


def test_a_bug_of_ours_names_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_kwargs: object) -> int:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(cli.cli, "main", broken)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == errors.INTERNAL
    said = capsys.readouterr().err
    assert "a bug in the harness: ZeroDivisionError: oops" in said
    log = Path(said.split("traceback in ")[1].rstrip(")\n"))
    assert "ZeroDivisionError" in log.read_text()
    log.unlink()
