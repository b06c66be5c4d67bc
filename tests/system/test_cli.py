# SPDX-License-Identifier: MIT
"""``mte-harness`` as a user and as ``git bisect run`` see it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from harness.core import errors
from harness.core.paths import cache_root, checkout
from tests.support.command import COMMAND
from tests.support.emulators import emulators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.guest.template import Template
    from harness.kernel import Kernel

    Cli = Callable[..., subprocess.CompletedProcess[str]]

PROGRAMS = Path(__file__).parent / "programs"
PROMPT = "# "


@pytest.fixture(autouse=True)
def warm(template: Template) -> None:
    """Prepare the template, so that no test below waits for a build."""


def test_clean_program(cli: Cli) -> None:
    done = cli("run", "stock", str(PROGRAMS / "pass.c"), "argument one")
    assert (done.returncode, done.stdout) == (errors.OK, "hello from argument one\n")


def test_failed_program(cli: Cli) -> None:
    done = cli("run", "stock", str(PROGRAMS / "fail.py"))
    assert done.returncode == errors.PROGRAM_FAILED
    assert done.stdout == "on stdout\n"
    assert "on stderr" in done.stderr
    assert "ended with exit status 7" in done.stderr


def test_a_reproducer_as_its_author_wrote_it(cli: Cli, tmp_path: Path) -> None:
    """Warnings are no errors, and a name may be as a browser saves it."""
    source = tmp_path / "repro (1).c?x=14d0f"
    source.write_text(
        "#define _GNU_SOURCE 1\n#include <stdio.h>\n"
        'int main(int argc, char **argv) { int unused; puts("done"); return 0; }\n'
    )
    done = cli("run", "stock", str(source))
    assert (done.returncode, done.stdout) == (errors.OK, "done\n"), done.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [("bad.c", "int main(void) { return nothing; }\n"), ("a.sh", "#!/bin/bash\n"), ("a", "x\n")],
)
def test_a_program_that_no_kernel_could_run(cli: Cli, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    done = cli("run", "stock", str(tmp_path / name))
    assert done.returncode == errors.UsageError.status
    assert done.stderr.startswith(f"mte-harness: {tmp_path / name}")


def test_output_that_cannot_be_written_is_no_verdict(cli: Cli) -> None:
    command = [COMMAND, "run", "stock", str(PROGRAMS / "pass.c"), "x"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == errors.OK
    assert "the program's stdout cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("while :; do sleep 0.1; done", errors.OK),
        ("sleep 1000 & wait", errors.OK),
        ("exit 7", errors.PROGRAM_FAILED),
        ("kill -9 $$", errors.PROGRAM_FAILED),
    ],
)
def test_a_program_that_only_has_to_survive(
    cli: Cli, tmp_path: Path, line: str, status: int
) -> None:
    (tmp_path / "loop.sh").write_text(f"echo begun\n{line}\n")
    done = cli("run", "--survives", "2", "stock", str(tmp_path / "loop.sh"))
    assert (done.returncode, done.stdout) == (status, "begun\n"), done.stderr


def test_leak(cli: Cli) -> None:
    """Memory that stays allocated is found, however often the counters are read."""
    done = cli("run", "stock", str(PROGRAMS / "leak.c"))
    assert done.returncode == errors.PROGRAM_FAILED, done.stderr
    assert "not given back" in done.stderr


@pytest.mark.parametrize("words", ["", "quiet loglevel=0"])
def test_splat_is_decoded_to_file_and_line(cli: Cli, words: str) -> None:
    """Also of a kernel that was told to print nothing to its console."""
    done = cli("run", "--append", words, "stock", str(PROGRAMS / "warn.c"))
    assert done.returncode == errors.KERNEL_SPLAT
    assert "lkdtm_WARNING" in done.stderr
    assert "drivers/misc/lkdtm/bugs.c:" in done.stderr
    assert "tainted: W" in done.stderr


def test_guest_lost(cli: Cli) -> None:
    done = cli("run", "stock", str(PROGRAMS / "panic.c"))
    assert done.returncode == errors.GUEST_LOST
    assert "sysrq triggered crash" in done.stderr
    assert "QEMU command line" in done.stderr


def test_program_that_does_not_compile(cli: Cli) -> None:
    done = cli("run", "stock", str(PROGRAMS / "broken.c"))
    assert done.returncode == errors.UsageError.status
    said = next(line for line in done.stderr.splitlines() if line.startswith("mte-harness: "))
    assert "broken.c does not compile" in said
    assert "undeclared" in said


def test_program_that_is_not_there(cli: Cli) -> None:
    assert cli("run", "stock", "/no/such/program.c").returncode == errors.UsageError.status


def test_qemu_missing(cli: Cli) -> None:
    done = cli("run", "stock", str(PROGRAMS / "pass.c"), "--qemu-binary", "/no/such/qemu")
    assert done.returncode == errors.QemuMissingError.status
    assert len(done.stderr.strip().splitlines()) == 1


def test_x86_image(cli: Cli, tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(b"\0" * 0x1F1 + b"\0" * 0x11 + b"HdrS" + b"\0" * 4096)
    done = cli("build", str(image))
    assert done.returncode == errors.ImageError.status
    assert "Traceback" not in done.stderr


def test_truncated_image_in_the_cache(cli: Cli, kernel: Kernel, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "builds").mkdir(parents=True)
    copy = cache / "builds" / kernel.directory.name
    copy.mkdir()
    for path in kernel.directory.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    with (copy / "Image").open("r+b") as image:
        image.truncate(1_000_000)
    done = cli("build", "stock", MTE_HARNESS_CACHE=str(cache))
    assert done.returncode == errors.ArtifactError.status
    # The lines before it are about the source, which this cache does not have.
    assert str(copy) in done.stderr.strip().splitlines()[-1]


@pytest.fixture
def shell() -> Iterator[pexpect.spawn[str]]:
    """Run `mte-harness shell stock` on a terminal, up to its first prompt."""
    # get_terminal_size() prefers these two to the terminal.
    sized = {"COLUMNS", "LINES"}
    child = pexpect.spawn(
        COMMAND,
        ["shell", "stock"],
        env={name: value for name, value in os.environ.items() if name not in sized},
        dimensions=(33, 111),
        encoding="utf-8",
        timeout=120,
    )
    try:
        child.expect(PROMPT)
        yield child
    finally:
        child.close(force=True)


def answer(shell: pexpect.spawn[str], command: str, expected: str) -> None:
    """Run a command in the guest and wait for its output and the next prompt.

    The terminal echoes the command, so ``expected`` must not be a part of it.
    """
    assert expected not in command
    shell.sendline(command)
    shell.expect_exact(expected)
    shell.expect(PROMPT)


def test_shell_ends_with_the_status_of_its_last_command(shell: pexpect.spawn[str]) -> None:
    answer(shell, "echo $((6 * 7)) $(uname -m)", "42 aarch64")
    shell.sendline("exit 3")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 3


def test_shell_has_the_size_of_the_terminal(shell: pexpect.spawn[str]) -> None:
    answer(shell, "stty size", "33 111")
    shell.setwinsize(44, 122)
    # The new size arrives by a message of its own, which may come after the next command.
    answer(shell, 'until [ "$(stty size)" != "33 111" ]; do sleep 0.1; done; stty size', "44 122")


def test_ctrl_c_ends_a_command_in_the_guest_and_not_the_shell(shell: pexpect.spawn[str]) -> None:
    # One process prints and sleeps. A Ctrl-C that comes while the guest's shell starts a program
    # is taken by neither of the two.
    shell.sendline("sh -c 'echo $((40 + 2)); exec sleep 1000'")
    shell.expect_exact("42")
    shell.sendintr()
    shell.expect(PROMPT)
    answer(shell, "echo status $((100 + 30)) is $?", "status 130 is 130")
    assert shell.isalive()


def test_a_closed_terminal_ends_the_shell_without_an_internal_error(
    shell: pexpect.spawn[str],
) -> None:
    answer(shell, "echo $((6 * 7)) $(uname -m)", "42 aarch64")
    terminal = shell.ptyproc  # type: ignore[attr-defined]
    terminal.fileobj.close()  # the last end of the terminal: the kernel sends SIGHUP
    assert terminal.wait() == 128 + signal.SIGHUP


def test_shell_ends_with_its_input() -> None:
    done = subprocess.run(
        [COMMAND, "shell", "stock"],
        input="echo $((6 * 7)) $(uname -m)\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=checkout("the tests"),
    )
    assert "42 aarch64" in done.stdout
    assert done.returncode == 0


def test_dry_run_prints_a_command_and_starts_no_guest(cli: Cli) -> None:
    """The files that it names are there, and the console of its guest is on the terminal."""
    done = cli("validate", "stock", "stock@dram", "--dry-run")
    assert done.returncode == errors.OK
    lines = [shlex.split(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2
    for words in lines:
        assert Path(words[words.index("-kernel") + 1]).name == "Image"
        named = [re.sub(r".*file=([^,]*).*", r"\1", word) for word in words]
        assert all(Path(word).exists() for word in named if word.startswith(str(cache_root())))
        assert "mon:stdio" in words
    for command in (("run", "stock", str(PROGRAMS / "pass.c")), ("shell", "stock")):
        again = cli(*command, "--dry-run")
        assert again.stdout == done.stdout.splitlines(keepends=True)[0], again.stderr


def test_the_command_of_dry_run_boots(cli: Cli) -> None:
    (line,) = cli("shell", "stock@dram", "--dry-run").stdout.splitlines()
    child = pexpect.spawn("sh", ["-c", line], encoding="utf-8", timeout=120)
    try:
        child.expect_exact("mte-harness: ready")
        child.send("\x01x")  # Ctrl-A X
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0


def packet(stub: socket.socket, data: str) -> str:
    """Send one packet of gdb's remote protocol (GDB manual, E.1), and return the answer."""
    stub.sendall(f"${data}#{sum(data.encode()) & 255:02x}".encode())
    answer = ""
    while not re.search(r"#[0-9a-f]{2}$", answer):
        answer += stub.recv(65536).decode()
    stub.sendall(b"+")
    return answer


def test_gdb_stops_a_clone_for_longer_than_its_time_limit(tmp_path: Path) -> None:
    (tmp_path / "soon.sh").write_text("echo begun\n")
    child = subprocess.Popen(
        [COMMAND, "run", "--gdb", "--timeout", "1", "stock", str(tmp_path / "soon.sh")],
        cwd=checkout("the tests"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    path = next(
        found[1] for line in child.stderr if (found := re.search(r"remote (\S+/gdb)'", line))
    )
    with socket.socket(socket.AF_UNIX) as stub:
        stub.settimeout(60)
        stub.connect(path)
        assert "PacketSize=" in packet(stub, "qSupported")
        assert re.search(r"\$T05", packet(stub, "?"))
        time.sleep(3)
        assert child.poll() is None
        assert packet(stub, "D").endswith("$OK#9a")
    said, told = child.communicate(timeout=120)
    assert (child.returncode, said) == (errors.OK, "begun\n"), told
    assert not Path(path).parent.exists()


@pytest.mark.parametrize(("which", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_in_mid_run(which: signal.Signals, status: int) -> None:
    before = emulators()
    child = subprocess.Popen(
        [COMMAND, "run", "stock", str(PROGRAMS / "sleep.py")],
        cwd=checkout("the tests"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "asleep\n"
    os.kill(child.pid, which)
    _, said = child.communicate(timeout=60)
    assert child.returncode == status
    assert "Traceback" not in said
    assert emulators() <= before


def test_killed_in_mid_run() -> None:
    before = emulators()
    child = subprocess.Popen(
        [COMMAND, "run", "stock", str(PROGRAMS / "sleep.py")],
        cwd=checkout("the tests"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "asleep\n"
    mine = emulators() - before
    assert mine
    child.kill()
    child.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in mine) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in mine if Path(f"/proc/{pid}").exists()]


def test_two_runs_at_once() -> None:
    children = [
        subprocess.Popen(
            [COMMAND, "run", "stock", str(PROGRAMS / "pass.c"), str(number)],
            cwd=checkout("the tests"),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [child.communicate(timeout=120)[0] for child in children]
    assert said == ["hello from 0\n", "hello from 1\n"]
    assert [child.returncode for child in children] == [0, 0]
