# SPDX-License-Identifier: MIT
"""A QEMU that refuses, hangs or dies: each has an error of its own, with output and command."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.core.deadline import Deadline
from harness.core.errors import QemuDiedError
from harness.core.limits import Limits
from harness.vm.channels import Channels
from harness.vm.confined import Confined
from harness.vm.cpu_share import CpuTime
from harness.vm.process import QemuProcess
from tests.support.qmp_peer import DIE, SILENT, Script, write_qemu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of the harness, not of the peer: far above what a loaded host takes to start it.
LIMITS = Limits(qmp=20.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., QemuProcess]]:
    processes: list[QemuProcess] = []

    def launch(script: Script, limits: Limits = LIMITS) -> QemuProcess:
        qemu = write_qemu(tmp_path, script)
        channels = Channels(1, b"run disk", tmp_path)
        fds = channels.descriptors
        command = [str(qemu)]
        for name, fd in (("qmp", fds.qmp), ("console", fds.console)):
            command += ["-chardev", f"socket,id={name},fd={fd}"]
        confined = Confined(tmp_path, [qemu])
        processes.append(QemuProcess(command, channels, limits, confined=confined))
        return processes[-1]

    yield launch
    for process in processes:
        process.close()


def replies(**values: Any) -> Script:
    return Script(replies={name.replace("_", "-"): [value] for name, value in values.items()})


def test_answers(start: Callable[..., QemuProcess]) -> None:
    process = start(Script(console="[    0.0] Booting Linux\r\n"))
    process.console.expect_exact("Booting Linux", timeout=5)
    assert process.status() == "running"
    assert process.ssh_port() == 40022
    assert process.registers().startswith("CPU#0\n PC=ffff800080000000\nCPU#1")
    assert process.running()


def test_cpu_time_of_each_thread(start: Callable[..., QemuProcess]) -> None:
    process = start(Script())
    first = process.cpu_times()
    assert first[process.pid].ran > 0
    for thread, now in process.cpu_times().items():
        before = first.get(thread, CpuTime(0.0, 0.0))
        assert now.ran >= before.ran
        assert now.waited >= before.waited
    process.close()
    assert process.cpu_times() == {}


def test_no_descriptor_left_at_the_start_ends_qemu(
    start: Callable[..., QemuProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            started.append(self)

    def no_loop() -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(asyncio, "new_event_loop", no_loop)
    with pytest.raises(OSError, match="Too many open files"):
        start(Script())
    assert started[0].returncode == -signal.SIGKILL
    assert "console" not in {thread.name for thread in threading.enumerate()}


def test_a_refused_command(start: Callable[..., QemuProcess]) -> None:
    process = start(replies(stop={"error": "not now"}))
    with pytest.raises(QemuDiedError, match="QEMU refuses stop: not now") as caught:
        process.qmp("stop")
    assert "socket,id=qmp" in caught.value.details
    assert process.status() == "running"  # and goes on answering


def test_death_during_a_command(start: Callable[..., QemuProcess]) -> None:
    process = start(replace(replies(stop=DIE), output="qemu: guest crashed"))
    message = "QEMU ended during stop with signal 9: qemu: guest crashed"
    with pytest.raises(QemuDiedError, match=message):
        process.qmp("stop")
    assert not process.running()
    assert process.registers().startswith("registers cannot be read: QEMU ended")


def test_a_command_that_is_never_answered(start: Callable[..., QemuProcess]) -> None:
    process = start(replies(stop=SILENT))
    process.limits = Limits(qmp=0.2, exit=0.1)
    with pytest.raises(QemuDiedError, match=r"\(pid \d+\) does not answer on QMP during stop"):
        process.qmp("stop")
    assert process.running()


def test_an_end_at_the_start(start: Callable[..., QemuProcess]) -> None:
    script = Script(output="qemu: -m: no such memory", exit_status=1)
    message = "QEMU ended at its start with exit status 1: qemu: -m: no such memory"
    with pytest.raises(QemuDiedError, match=message) as caught:
        start(script)
    assert "QEMU output:\nqemu: -m: no such memory" in caught.value.details


def test_a_program_that_does_not_greet(start: Callable[..., QemuProcess]) -> None:
    started = time.monotonic()
    with pytest.raises(QemuDiedError, match="does not answer on QMP at its start"):
        start(Script(greets=False), Limits(qmp=0.3, exit=0.1))
    assert time.monotonic() - started < 10


def test_waits_for_a_status(start: Callable[..., QemuProcess]) -> None:
    states = [{"status": "inmigrate"}, {"status": "inmigrate"}, {"status": "paused"}]
    process = start(Script(replies={"query-status": states}))
    assert process.wait_status("paused", Deadline.after(10))
    assert not process.wait_status("running", Deadline.after(0.05))


def test_no_forwarded_port(start: Callable[..., QemuProcess]) -> None:
    process = start(Script(replies={"info usernet": ["no connections"]}))
    with pytest.raises(QemuDiedError, match="forwards no SSH port") as caught:
        process.ssh_port()
    assert caught.value.details == "no connections"


def test_close_leaves_nothing(start: Callable[..., QemuProcess]) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    process = start(Script())
    process.close()
    process.close()
    assert not Path(f"/proc/{process.pid}").exists()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_killed_from_outside(start: Callable[..., QemuProcess]) -> None:
    process = start(Script())
    os.kill(process.pid, signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(QemuDiedError, match=r"signal 9.*out of memory\?") as caught:
        process.status()
    assert time.monotonic() - started < 5
    assert "run again" in caught.value.cure
