# SPDX-License-Identifier: MIT
"""What a user's host may refuse, met from outside: one line, a documented status, nothing left.

Neither QEMU nor a kernel is needed: what a command asks of them is played by shell scripts. With a
guest: tests/system/test_host_trouble.py.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from harness.core import errors
from harness.core.paths import CACHE_VARIABLE
from harness.core.progress import plain_progress
from harness.core.store import Store
from harness.vm.emulator_check import build_check
from tests.support.command import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "int main(void) { return 0; }\n"


class Run(Protocol):
    """Runs ``mte-harness run stock PROGRAM`` by a shell's line around it."""

    def __call__(
        self, wrapper: str = '"$@"', *words: str, program: str | Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Yield what runs the command with a cache and a TMPDIR of its own, where nothing stays."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    source = tmp_path / "program.c"
    source.write_text(PROGRAM)

    def run(
        wrapper: str = '"$@"', *words: str, program: str | Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        cache = {"MTE_HARNESS_CACHE": str(tmp_path / "cache"), "TMPDIR": str(temporary)}
        command = [COMMAND, "run", *words, "stock", str(program or source)]
        done = subprocess.run(
            ["/bin/sh", "-c", wrapper, "sh", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, **cache, **env},
        )
        assert "Traceback" not in done.stderr
        assert "a bug in the harness" not in done.stderr
        return done

    yield run
    assert not list(temporary.iterdir())
    assert not list(tmp_path.glob("cache/*/.*.new"))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = done.stderr.splitlines()
    assert line.startswith("mte-harness: ")
    return line


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("limit", [8, 64])
def test_few_descriptors(run: Run, limit: int) -> None:
    done = run(f'prlimit --nofile={limit}:{limit} -- "$@"')
    assert done.returncode == errors.HarnessError.status
    assert "ulimit -Hn" in one_line(done)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", 130, "interrupted"),
        ("raise ImportError('no such symbol')", 161, "no such symbol"),
        ("raise MemoryError", 159, "memory"),
        ("raise OSError(24, 'Too many open files')", 159, "Too many open files"),
    ],
)
def test_trouble_while_the_command_is_imported(
    run: Run, tmp_path: Path, body: str, status: int, said: str
) -> None:
    (tmp_path / "paramiko.py").write_text(f"{body}\n")
    done = run(PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (status, "")
    assert said in one_line(done)


def test_a_python_home_of_another_python() -> None:
    command = Path(__file__).resolve().parents[2] / "scripts" / "mte-harness"
    lines = command.read_text().splitlines()
    assert lines[-2].startswith("unset PYTHONHOME")
    assert "/usr/bin/python3" in lines[-1]


NOT_UTF8 = os.fsdecode(b"M\xfcller")


@pytest.mark.parametrize("where", ["kernel", "report", "directory", "TMPDIR", CACHE_VARIABLE])
def test_a_name_that_is_not_utf8(tmp_path: Path, where: str) -> None:
    """A name of a file may be any bytes; what goes to pytest-xdist's workers may not."""
    odd = tmp_path / NOT_UTF8
    odd.mkdir()
    words = {"kernel": [str(odd)], "report": ["stock", "--report", str(odd)]}
    done = subprocess.run(
        [str(COMMAND), "validate", *words.get(where, ["stock"])],
        cwd=odd if where == "directory" else tmp_path,
        env={**os.environ, CACHE_VARIABLE: str(tmp_path / "cache")}
        | ({where: str(odd)} if where.isupper() else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == errors.UsageError.status, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "is not UTF-8" in done.stderr


def test_the_current_directory_is_gone(run: Run, tmp_path: Path) -> None:
    gone = shlex.quote(str(tmp_path / "gone"))
    done = run(f'mkdir {gone}; cd {gone}; rmdir {gone}; "$@"')
    assert done.returncode == errors.UsageError.status
    assert "the current directory is gone" in one_line(done)


def test_programs_that_have_no_end(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for program in (tmp_path / "pipe", Path("/dev/zero")):
        done = run(program=program)
        assert done.returncode == errors.UsageError.status
        assert f"{program} is no file" in one_line(done)


@pytest.mark.parametrize("place", ["file", "file/below", "a space", "/sys/cache", "x" * 300])
def test_a_cache_that_cannot_be(run: Run, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    done = run(MTE_HARNESS_CACHE=str(tmp_path / place))
    assert done.returncode == errors.UsageError.status
    assert "set MTE_HARNESS_CACHE" in one_line(done)


def test_no_compiler(run: Run) -> None:
    done = run(PATH="/nonexistent")
    assert done.returncode == errors.CompilerMissingError.status
    assert "gcc-aarch64-linux-gnu" in one_line(done)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["build", "{0}/none:x"], 160, "none"),
        (["build", "{0}/repository:x"], 174, "no revision 'x'"),
        (["build", "{0}/bzImage"], 171, "no arm64 Image header"),
        (["build", "stock", "--series", "{0}/bzImage"], 160, "is binary"),
        (["build", "9.99.1"], 162, "cannot be told"),
        (["doctor"], 166, "there is no dpkg"),
    ],
)
def test_what_a_command_names(tmp_path: Path, words: list[str], status: int, said: str) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path / "repository"], check=True)
    (tmp_path / "bzImage").write_bytes(bytes(4096))
    path = "/nonexistent" if words == ["doctor"] else os.environ["PATH"]
    nobody = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [COMMAND, *(word.format(tmp_path) for word in words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **nobody, "MTE_HARNESS_CACHE": str(tmp_path / "cache"), "PATH": path},
    )
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ("echo 'a.s: Fatal error: x.o: No space left on device' >&2; exit 1", 169),
        ("echo 'cc1: out of memory allocating 65536 bytes' >&2; exit 1", 159),
        ("kill -9 $$", 159),
        ("echo 'p.c:1: error: what is this' >&2; exit 1", 160),
    ],
)
def test_a_compiler_in_trouble(run: Run, tmp_path: Path, ends: str, status: int) -> None:
    """Only what the compiler says of the program is the program's fault."""
    tools = tmp_path / "tools"
    tools.mkdir()
    begins = '[ "$1" != --version ] || { echo gcc 12; exit; }; echo half > "$TMPDIR/cc1.s"'
    script(tools / "aarch64-linux-gnu-gcc", f"{begins}; {ends}")
    done = run(PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == status, done.stderr


def test_what_a_user_s_environment_tells_the_compiler(run: Run, tmp_path: Path) -> None:
    """The program compiles, and the run goes on to its QEMU."""
    (tmp_path / "stdio.h").write_text("#error this is not C's\n")
    (tmp_path / "program.c").write_text(f"#include <stdio.h>\n{PROGRAM}")
    foreign = dict.fromkeys(("GCC_EXEC_PREFIX", "COMPILER_PATH", "LIBRARY_PATH"), "/nonexistent/")
    foreign |= {
        "CPATH": str(tmp_path),
        "DEPENDENCIES_OUTPUT": str(tmp_path / "depends"),
        "MAKEFLAGS": "-n",
        "GIT_DIR": "/nonexistent",
        "TAR_OPTIONS": "--bogus",
        "PYTEST_ADDOPTS": "--bogus",
        "LC_ALL": "tlh_AQ",
    }
    done = run('"$@"', "--qemu-binary", "/no/such/qemu", **foreign)
    assert done.returncode == errors.QemuMissingError.status, done.stderr
    assert not (tmp_path / "depends").exists()


@pytest.mark.parametrize(
    ("runs", "status", "said"),
    [
        ("kill -9 $$", 172, "signal 9"),
        ("echo 'cannot set up guest memory: Cannot allocate memory' >&2; exit 1", 172, "ulimit -v"),
        (
            "echo 'qemu_thread_create: Resource temporarily unavailable' >&2; exit 1",
            172,
            "ulimit -u",
        ),
        ("exit 0", 165, "fails the emulator check"),
        ("exec cat {results}", 164, "QEMU 7.2.0"),
    ],
)
def test_a_qemu_in_trouble(run: Run, tmp_path: Path, runs: str, status: int, said: str) -> None:
    results = tmp_path / "results"
    results.write_text("KTAP version 1\n1..1\nok 1 tags\n")
    text = '[ "$1" != --version ] || { echo QEMU emulator version 7.2.0; exit; }\n'
    qemu = script(tmp_path / "qemu", text + runs.format(results=shlex.quote(str(results))))
    build_check(Store(tmp_path / "cache", "programs", plain_progress()))
    done = run('"$@"', "--qemu-binary", str(qemu))
    assert done.returncode == status, done.stderr
    assert said in done.stderr.splitlines()[0]
