# SPDX-License-Identifier: MIT
"""A guest that gets no CPU of this host is not lost, and its kernel does not hang."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import BootError, GuestLostError, HarnessError, is_host_trouble
from harness.guest.ssh import SilentError
from harness.vm.cpu_share import PATIENCE, CpuTime, CpuWatch
from harness.vm.process import QemuProcess
from tests.support.qmp_peer import Script
from tests.support.scripted_guest import (
    Answer,
    FakeConnection,
    ScriptedGuest,
    fake_machine,
    template_on,
)
from tests.unit.test_guest_template import LIMITS, READY, boot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PANIC = "[   10.0] Kernel panic - not syncing: sysrq triggered crash\r\n"


def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let QEMU wait for a CPU for ever: each look at its thread says an hour more."""
    hours = itertools.count(0, 3600)
    monkeypatch.setattr(QemuProcess, "cpu_times", lambda _: {1: CpuTime(0.0, float(next(hours)))})


def runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let QEMU run whenever it wants to."""
    hours = itertools.count(0, 3600)
    monkeypatch.setattr(QemuProcess, "cpu_times", lambda _: {1: CpuTime(float(next(hours)), 0.0)})


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., ScriptedGuest]:
    return lambda answers=None: ScriptedGuest(template_on(fake_machine(), tmp_path), answers)


def refuses(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Let the first connections fail; return a list that has an entry for each one tried."""
    tried: list[int] = []

    def connect(guest: ScriptedGuest) -> FakeConnection:
        tried.append(1)
        if len(tried) <= times:
            raise SilentError("no connection in time")
        return FakeConnection(guest)

    monkeypatch.setattr(ScriptedGuest, "_connect_once", connect)
    return tried


def test_a_starved_guest_gets_another_connection(
    made: Callable[..., ScriptedGuest], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(monkeypatch)
    tried = refuses(monkeypatch, PATIENCE - 1)
    assert made().exec("true").status == 0
    assert len(tried) == PATIENCE


def test_a_guest_that_is_starved_for_ever_is_the_hosts_fault(
    made: Callable[..., ScriptedGuest], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(monkeypatch)
    tried = refuses(monkeypatch, 99)
    with pytest.raises(HarnessError, match=r"too busy.*no connection in time") as caught:
        made().exec("true", phase="a phase")
    assert is_host_trouble(caught.value.status)
    assert "-n 1" in caught.value.cure
    assert len(tried) == PATIENCE


def test_a_guest_with_cpu_time_that_does_not_answer_is_lost_at_once(
    made: Callable[..., ScriptedGuest], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(monkeypatch)
    tried = refuses(monkeypatch, 1)
    with pytest.raises(GuestLostError, match="no connection in time"):
        made().exec("true")
    assert len(tried) == 1


def test_no_busy_host_cuts_a_connection(
    made: Callable[..., ScriptedGuest], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(monkeypatch)
    with pytest.raises(GuestLostError, match="cut"):
        made({"sleep": [Answer(cut="the SSH connection was cut")]}).exec("sleep 100")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(prints=PANIC, cut="the SSH connection was cut"),
        Answer(cut="the SSH connection was cut", machine="shutdown"),
    ],
    ids=["panic", "reset"],
)
def test_a_kernel_that_goes_down_is_lost_on_a_busy_host_too(
    answer: Answer, made: Callable[..., ScriptedGuest], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(monkeypatch)
    with pytest.raises(GuestLostError):
        made({"sysrq": [answer]}).exec("echo c > /proc/sysrq-trigger")


def test_a_starved_boot_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits(monkeypatch)
    limits = dataclasses.replace(LIMITS, boot=0.2)
    with pytest.raises(HarnessError, match=r"too busy.*kernel stock does not come up") as caught:
        boot(tmp_path, Script(), limits)
    assert is_host_trouble(caught.value.status)
    boot(tmp_path, Script(console=READY), limits)


def test_a_boot_that_hangs_with_all_the_cpu_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(monkeypatch)
    with pytest.raises(BootError, match="hang"):
        boot(tmp_path, Script(), dataclasses.replace(LIMITS, boot=0.2))


def test_the_busiest_thread_counts() -> None:
    readings = iter(
        [
            {1: CpuTime(1.0, 5.0), 2: CpuTime(0.0, 1.0)},
            {1: CpuTime(7.0, 5.0), 2: CpuTime(2.0, 8.0), 3: CpuTime(0.0, 4.0)},
        ]
    )
    assert CpuWatch(lambda: next(readings)).busiest() == CpuTime(6.0, 7.0)
