# SPDX-License-Identifier: MIT
"""Commands in a guest, and what is reported of one that is gone."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import GuestLostError, HarnessError, QemuDiedError, UsageError
from tests.support.scripted_guest import Answer, ScriptedGuest, fake_machine, template_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PANIC = "[   10.0] Kernel panic - not syncing: sysrq triggered crash\r\n"


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., ScriptedGuest]:
    return lambda answers=None: ScriptedGuest(template_on(fake_machine(), tmp_path), answers)


def test_a_list_of_words_is_quoted(made: Callable[..., ScriptedGuest]) -> None:
    with made({"uname": [Answer("aarch64\n")]}) as guest:
        assert guest.exec(["uname", "-m", "a b"]).stdout == "aarch64\n"
        assert "cd /tmp; uname -m 'a b'\n" in guest.lines[0]


def test_a_cut_connection_to_a_machine_that_reset(made: Callable[..., ScriptedGuest]) -> None:
    answer = Answer(prints=PANIC, cut="the SSH connection was cut", machine="shutdown")
    with (
        made({"sysrq": [answer]}) as guest,
        pytest.raises(GuestLostError) as caught,
    ):
        guest.exec("echo c > /proc/sysrq-trigger")
    assert caught.value.cause == (
        "guest lost in phase: running: echo c > /proc/sysrq-trigger: "
        "the kernel reset or powered off the machine the SSH connection was cut"
    )
    assert "Kernel panic - not syncing: sysrq triggered crash" in caught.value.details
    assert "registers:\nCPU#0 PC=0" in caught.value.details
    assert "qemu-system-aarch64 -fake" in caught.value.details


def test_a_cut_connection_to_a_machine_that_runs(made: Callable[..., ScriptedGuest]) -> None:
    with (
        made({"kill": [Answer(cut="the SSH connection was cut")]}) as guest,
        pytest.raises(GuestLostError, match="phase: a phase: the machine still runs, but the SSH"),
    ):
        guest.exec("kill -9 $PPID", phase="a phase")


def test_a_qemu_that_ended_is_no_fault_of_the_kernel(made: Callable[..., ScriptedGuest]) -> None:
    with (
        made({"sleep": [Answer(cut="cut", machine="gone")]}) as guest,
        pytest.raises(QemuDiedError, match="signal 9") as caught,
    ):
        guest.exec("sleep 100")
    assert "in phase: running: sleep 100" in caught.value.details


def test_a_command_that_does_not_end_in_a_guest_that_answers(
    made: Callable[..., ScriptedGuest],
) -> None:
    with made({"sleep": [Answer(status=None)]}) as guest:
        done = guest.exec("sleep 100", timeout=3)
        assert (done.status, done.seconds) == (None, 3)
        assert guest.lines[-1] == "true", "it was not asked whether it is alive"


def test_a_command_that_does_not_end_in_a_guest_that_does_not_answer(
    made: Callable[..., ScriptedGuest],
) -> None:
    answers = {"sleep": [Answer(status=None)], "true": [Answer(cut="no SSH connection")]}
    with (
        made(answers) as guest,
        pytest.raises(GuestLostError, match="it no longer answers: no SSH connection"),
    ):
        guest.exec("sleep 100")


def test_push(made: Callable[..., ScriptedGuest]) -> None:
    with made() as guest:
        guest.push(b"content", "a file", mode=0o600)
        assert guest.process.lent == [b"content"]
        assert "dd if=/run/disk of='a file' bs=65536 " in guest.lines[0]
        assert "truncate -s 7 'a file' && chmod 600 'a file'" in guest.lines[0]


def test_a_full_guest_is_reported(made: Callable[..., ScriptedGuest]) -> None:
    with (
        made({"dd if=": [Answer(stderr="No space left on device\n", status=1)]}) as guest,
        pytest.raises(HarnessError, match="cannot write big in the guest: No space left"),
    ):
        guest.push(b"content", "big")


def test_pull(made: Callable[..., ScriptedGuest]) -> None:
    packed = base64.encodebytes(gzip.compress(b"hello")).decode()
    with made({"base64": [Answer(packed), Answer(stderr="no", status=1)]}) as guest:
        assert guest.pull("there") == b"hello"
        with pytest.raises(HarnessError, match="cannot read gone in the guest"):
            guest.pull("gone")


def test_cpus_run_again_after_a_pause(made: Callable[..., ScriptedGuest]) -> None:
    with made() as guest:
        with pytest.raises(ZeroDivisionError), guest.paused():
            assert guest.process.commands == ["stop"]
            raise ZeroDivisionError
        assert guest.process.commands == ["stop", "cont"]


def test_no_view_of_tags_outside_dram(made: Callable[..., ScriptedGuest]) -> None:
    with (
        made() as guest,
        pytest.raises(UsageError, match="machine emulator the host cannot see"),
    ):
        _ = guest.dram
