# SPDX-License-Identifier: MIT
"""Kernels that never come up, and guests that go away: always reported, never a pass."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import BootError, GuestLostError, QemuDiedError
from harness.core.limits import Limits
from harness.kernel import ImageKernel
from harness.suite.gather import gather, run_program
from harness.suite.program import Program
from harness.suite.session import Session
from harness.suite.tries import gather_until_tested
from harness.verdict.judge import judge
from harness.verdict.result import Status
from tests.system.fake_kernels import PSCI_SYSTEM_RESET, WFI_LOOP, write_image

if TYPE_CHECKING:
    from pathlib import Path

    from harness.guest.guest import Guest
    from harness.guest.template import Template
    from harness.kernel import Kernel
    from harness.suite.fixtures import Launcher
    from harness.verdict.evidence import Evidence
    from harness.vm.spec import MachineSpec


def test_panic_before_init(kernel: Kernel, machine: MachineSpec, harness_session: Session) -> None:
    with pytest.raises(BootError) as caught:
        harness_session.template(kernel, machine, append="root=/dev/nothing")
    assert "Kernel panic - not syncing: VFS: Unable to mount root fs" in caught.value.cause
    assert "phase reached: early kernel" in caught.value.cause
    assert "CPU#1" in caught.value.details
    assert "qemu-system-aarch64" in caught.value.details


def impatient(session: Session, **seconds: float) -> Session:
    """Return a session on the same cache and QEMU with some limits replaced."""
    limits = dataclasses.replace(Limits(), **seconds)
    return Session(session.cache, session.progress, str(session.qemu.path), limits)


def test_silent_hang(tmp_path: Path, machine: MachineSpec, harness_session: Session) -> None:
    session = impatient(harness_session, boot=3.0)
    image = write_image(tmp_path / "Image", WFI_LOOP)
    with pytest.raises(BootError, match=r"silent for 3 s.*no output from the kernel") as caught:
        session.template(session.kernel(ImageKernel(image)), machine)
    assert "PC=" in caught.value.details


def test_reboot_loop(tmp_path: Path, machine: MachineSpec, harness_session: Session) -> None:
    image = write_image(tmp_path / "Image", PSCI_SYSTEM_RESET)
    with pytest.raises(BootError, match="it reset the machine"):
        harness_session.template(harness_session.kernel(ImageKernel(image)), machine)


def test_panic_in_mid_test(template: Template, launch: Launcher) -> None:
    guest = launch(template, excused=True)
    result = run_program(guest, Program("echo c > /proc/sysrq-trigger", 30, speaks_ktap=False))
    assert result.status is Status.LOST
    assert "running: echo c" in result.title
    assert "Kernel panic - not syncing: sysrq triggered crash" in result.text()
    assert "CPU#0" in result.text()


def test_network_cut_in_mid_command(
    kernel: Kernel, machine: MachineSpec, harness_session: Session
) -> None:
    session = impatient(harness_session, ssh_connect=3.0)
    with (
        session.guest(session.template(kernel, machine)) as guest,
        pytest.raises(GuestLostError, match="no longer answers") as caught,
    ):
        guest.exec("ifconfig eth0 down; sleep 100", timeout=3, phase="a phase")
    assert "a phase" in caught.value.cause


def test_connection_killed_in_mid_command(guest: Guest) -> None:
    with pytest.raises(GuestLostError, match="cut in the middle"):
        guest.exec("kill -9 $PPID; sleep 100", timeout=30)


def test_qemu_killed_in_mid_test(guest: Guest) -> None:
    def kill() -> None:
        time.sleep(1)
        os.kill(guest.process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(QemuDiedError, match="signal 9") as caught:
        guest.exec("sleep 100", timeout=60)
    thread.join()
    assert "sleep 100" in caught.value.details


def test_program_that_never_ends(guest: Guest) -> None:
    result = run_program(guest, Program("sleep 1000", 2, speaks_ktap=True))
    assert result.status is Status.FAIL
    assert f"did not end within {2 * guest.template.slowness:.0f} s" in result.text()


def test_program_that_prints_without_end(guest: Guest) -> None:
    result = run_program(guest, Program("yes 'ok 1 everything'", 60, speaks_ktap=True))
    assert result.status is Status.FAIL
    assert "more than the harness keeps" in result.text()
    assert len(result.stdout) < 32 * 1024 * 1024


def test_program_that_forks_without_end(template: Template, harness_session: Session) -> None:
    """The bomb keeps all CPUs busy: where the host has no more of them, it needs a second try."""
    bomb = Program("bomb() { bomb | bomb & }; bomb; sleep 1000", 5, speaks_ktap=True)

    def attempt(program: Program) -> Evidence:
        with harness_session.guest(template) as guest:
            return gather(guest, program)

    started = time.monotonic()
    result = judge(gather_until_tested(attempt, bomb, template, harness_session.preconditions))
    assert result.status in (Status.FAIL, Status.LOST), result.text()
    assert time.monotonic() - started < 300


def test_guest_out_of_memory(guest: Guest) -> None:
    result = run_program(guest, Program("tail /dev/zero", 120, speaks_ktap=False))
    assert result.status is Status.FAIL
    assert "exit status 137 (killed by signal 9)" in result.text()
    assert "Out of memory" in result.console
