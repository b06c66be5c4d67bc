# SPDX-License-Identifier: MIT
"""The command line: its exit statuses, and errors without a traceback."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.jobs import command_line as cli
from harness.jobs import exit_status
from tests.support.command import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., tuple[int, str]]


@pytest.fixture
def mte_harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process; return its exit status and its standard error."""
    monkeypatch.setattr(exit_status, "unwind_on_sigterm", lambda: None)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mte-harness", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert isinstance(caught.value.code, int)
        return caught.value.code, capsys.readouterr().err

    return run


def statuses() -> dict[str, int]:
    classes = inspect.getmembers(errors, inspect.isclass)
    return {n: c.status for n, c in classes if issubclass(c, errors.HarnessError)}


def test_statuses_are_distinct() -> None:
    # One is abstract, the others are kinds of another.
    own = {
        n: status
        for n, status in statuses().items()
        if n not in {"BaseGoneError", "KernelError", "NotThereError", "ProgramError"}
    }
    own |= {"INTERRUPTED": errors.INTERRUPTED, "INTERNAL": errors.INTERNAL}
    assert len(set(own.values())) == len(own)


def test_git_bisect_stops_at_a_fault_of_the_host() -> None:
    for name, status in statuses().items():
        if name not in ("BuildError", "BootError", "GuestLostError"):
            assert status >= 128, name


def test_help_lists_the_statuses() -> None:
    done = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "125  the kernel does not build" in done.stdout


@pytest.mark.parametrize(
    "words",
    [("frobnicate",), ("run",), ("run", "stock"), ("validate", "--machine", "toaster"),
     ("build", "no-such-recipe"), ("build", "stock", "--series", "no.mbox"),
     ("validate", "--series", __file__), ("run", "debian:7.3", "x", "--series", "no.mbox"),
     ("shell", "stock", "--series", "/dev/null"), ("shell", "stock", "--gdb", "--dry-run"),
     ("run", "stock", __file__, "--dry-run", "--gdb"),
     ("series",), ("series", "tree"), ("series", "tree", "no-such"),
     ("series", "check", "stock"), ("series", "check", "--patch", "99"), ("lock", "now")],
)  # fmt: skip
def test_usage_errors(mte_harness: Command, words: tuple[str, ...]) -> None:
    status, message = mte_harness(*words)
    assert status == errors.UsageError.status
    assert "Traceback" not in message


def test_a_status_is_that_of_the_error(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_kwargs: object) -> int:
        raise errors.PatchError("it does not apply", "edit it", "hunk 3")

    monkeypatch.setattr(cli.cli, "main", broken)
    assert mte_harness() == (167, "mte-harness: it does not apply (edit it)\nhunk 3\n")


def test_an_interrupted_command(mte_harness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_kwargs: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.cli, "main", interrupted)
    assert mte_harness() == (errors.INTERRUPTED, "mte-harness: interrupted\n")


def test_clean_keeps_to_the_cache(
    mte_harness: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTE_HARNESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "templates" / "x").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    assert mte_harness("clean", "../precious")[0] == errors.UsageError.status
    assert (tmp_path / "precious").exists()
    assert mte_harness("clean", "templates") == (0, "")
    assert not (tmp_path / "cache" / "templates").exists()


@pytest.mark.parametrize("words", [("--keep", "much"), ("templates", "--keep", "1GiB")])
def test_clean_refuses(mte_harness: Command, words: tuple[str, ...]) -> None:
    assert mte_harness("clean", *words)[0] == errors.UsageError.status


def test_clean_to_a_size_keeps_what_fits(
    mte_harness: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTE_HARNESS_CACHE", str(tmp_path / "cache"))
    old = tmp_path / "cache" / "templates" / "x"
    old.mkdir(parents=True)
    (old / "memory").write_bytes(b"x" * 100_000)
    for path in (old / "memory", old):
        os.utime(path, (1, 1))
    assert mte_harness("clean", "--keep", "1 GiB") == (0, "")
    assert old.exists()
    assert mte_harness("clean", "--keep", "0 MiB") == (0, "")
    assert not old.exists()


def test_an_internal_error_names_its_traceback(
    mte_harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_kwargs: object) -> int:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(cli.cli, "main", broken)
    status, message = mte_harness()
    assert status == errors.INTERNAL
    assert "a bug in the harness: ZeroDivisionError: oops" in message
    log = Path(message.split("traceback in ")[1].rstrip(")\n"))
    assert "ZeroDivisionError" in log.read_text()
    log.unlink()
