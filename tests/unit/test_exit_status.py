# SPDX-License-Identifier: MIT
"""Each command ends with a documented status, also where its own output cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

import pytest

from harness.core import errors
from harness.core.errors import DiskFullError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "from harness.jobs.exit_status import exit_with_status\nfrom harness.core.errors import *\n"


class Run(Protocol):
    """Runs a command whose work is ``body``; ``wrapper`` is the shell's line around it."""

    def __call__(self, body: str, wrapper: str = '"$@"') -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(body: str, wrapper: str = '"$@"') -> subprocess.CompletedProcess[str]:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        script = f"{HEAD}import click, os, sys\ndef work():\n{lines}exit_with_status(work)\n"
        return subprocess.run(
            ["sh", "-c", wrapper, "sh", sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TMPDIR": str(tmp_path)},  # where the log of a bug goes
        )

    return run


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("pass", 0),
        ("return 3", 3),
        ("raise SourceError('none')", 174),
        ("raise click.UsageError('no')", 160),
        ("raise KeyboardInterrupt", 130),
        ("raise SystemExit(143)", 143),
        ("raise SystemExit('text')", errors.INTERNAL),
        ("raise MemoryError", 159),
        ('raise RuntimeError("can\'t start new thread")', 159),
        ("raise RuntimeError('another')", errors.INTERNAL),
        ("raise OSError(24, 'Too many open files')", 159),
        ("raise PermissionError(13, 'Permission denied', '/x')", 159),
        ("import subprocess; subprocess.run(['no-such-tool'])", 166),
        ("open('/no/such/file')", errors.INTERNAL),
        ("raise BrokenPipeError(32, 'Broken pipe')", 159),
        ("raise OSError(28, 'No space left on device')", 169),
        ("1 / 0", errors.INTERNAL),
    ],
)
def test_statuses(run: Run, body: str, status: int) -> None:
    done = run(body)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "wrapper", ['"$@" >&-', '"$@" 2>&-', '"$@" <&- >&- 2>&-', '"$@" > /dev/full 2>&1']
)
@pytest.mark.parametrize(("body", "status"), [("return 3", 3), ("raise PatchError('x')", 167)])
def test_closed_and_full_streams(run: Run, wrapper: str, body: str, status: int) -> None:
    ended = run(f"print('output', end='')\n{body}", wrapper).returncode
    assert ended == status or ("full" in wrapper and ended == DiskFullError.status)


def test_the_traceback_is_in_a_log(run: Run, tmp_path: Path) -> None:
    done = run("1 / 0")
    (log,) = tmp_path.glob("mte-harness-*.log")
    assert f"(traceback in {log})" in done.stderr
    assert "ZeroDivisionError" in log.read_text()


def test_no_log_can_be_written(run: Run) -> None:
    done = run(
        "import tempfile\n"
        "def refuse(*_, **__): raise OSError(28, 'No space left on device')\n"
        "tempfile.NamedTemporaryFile = refuse\n"
        "1 / 0"
    )
    assert done.returncode == errors.INTERNAL
    assert "its traceback could not be kept: [Errno 28]" in done.stderr


STREAM = "from harness.jobs.output_stream import OutputStream\nwrite = OutputStream()\n"


@pytest.mark.parametrize("channel", ["stdout", "stderr"])
def test_a_program_s_output_that_cannot_be_written(run: Run, channel: str) -> None:
    redirect = ">" if channel == "stdout" else "2>"
    body = f"{STREAM}for _ in range(3): write({channel!r}, b'x' * 9)\nreturn 3"
    done = run(body, f'"$@" {redirect} /dev/full')
    assert done.returncode == 3
    if channel == "stdout":
        assert done.stderr.count("the program's stdout cannot be written") == 1


def test_a_reader_that_leaves(run: Run) -> None:
    body = f"{STREAM}for _ in range(999): write('stdout', b'x' * 9999)\nreturn 3"
    done = run(body, '{ "$@"; echo "status $?" >&2; } | head -c 5')
    assert done.stdout == "xxxxx"
    assert "status 3" in done.stderr


def test_a_full_pipe_that_does_not_block(run: Run) -> None:
    body = f"{STREAM}os.set_blocking(1, False)\nfor _ in range(99): write('stdout', b'x' * 9999)"
    done = run(body, '"$@" | { sleep 0.2; wc -c; }')
    assert done.stdout.strip() == str(99 * 9999)


def test_no_more_threads(run: Run) -> None:
    """The limit does not hold for root (setrlimit(2), RLIMIT_NPROC): it becomes another user."""
    done = run(
        "import resource, threading\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
        "threading.Thread().start()"
    )
    assert done.returncode == 159
    assert "ulimit -u unlimited" in done.stderr
