# SPDX-License-Identifier: MIT
"""A host that runs guests slowly: every time limit of a guest gets longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from harness.core import ktap
from harness.core.limits import Limits
from harness.core.progress import Silent
from harness.guest.template import LOCKDEP_SLOWNESS
from harness.suite import session as session_module
from harness.suite.session import Session
from harness.vm.emulator_check import REFERENCE_SECONDS, EmulatorCheck
from harness.vm.spec import find_machine
from tests.support.fake_session import fake_kernel, fake_template

if TYPE_CHECKING:
    from pathlib import Path

    from harness.vm.qemu import Qemu
    from harness.vm.virtual_machine import VirtualMachine

SPEC = find_machine("emulator")


def checked(seconds: float) -> EmulatorCheck:
    return EmulatorCheck(ktap.parse("KTAP version 1\n1..1\nok 1 a\n"), frozenset(), seconds)


@pytest.mark.parametrize(
    ("seconds", "slowness"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.49, 1), (1.6, 2), (18, 18)]
)
def test_slowness(seconds: float, slowness: int) -> None:
    """``seconds`` in units of those on the reference host."""
    assert checked(seconds * REFERENCE_SECONDS).slowness == slowness


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return a session whose machine is one that cannot be started."""
    monkeypatch.setattr(session_module, "require_loopback", lambda: None)
    monkeypatch.setattr(session_module, "require_version", lambda _qemu: None)
    (tmp_path / "kernel").mkdir()
    machine = fake_template(fake_kernel(tmp_path / "kernel"), SPEC).machine
    monkeypatch.setattr(session_module, "prepare_machine", lambda *_words: machine)
    session = Session(tmp_path / "cache", Silent())
    session.__dict__["qemu"] = cast("Qemu", None)
    return session


def test_a_slow_host_s_limits(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((3 * REFERENCE_SECONDS, REFERENCE_SECONDS, 5 * REFERENCE_SECONDS))

    def check(_machine: VirtualMachine, _programs: object) -> EmulatorCheck:
        return checked(next(times))

    monkeypatch.setattr(session_module, "check_emulator", check)
    assert session.machine(SPEC).limits == Limits()
    for slowness in (3, 3, 5):  # what was once measured as slow is not made faster
        session.check(SPEC)
        machine = session.machine(SPEC)
        assert machine.slowness == slowness
        assert machine.limits.boot == pytest.approx(slowness * Limits().boot)


def test_a_template_s_limits(tmp_path: Path) -> None:
    """The factor of the host and that of the kernel multiply, once."""
    kernel = fake_kernel(tmp_path, config="CONFIG_PROVE_LOCKING=y")
    template = fake_template(kernel, SPEC)
    assert template.slowness == LOCKDEP_SLOWNESS
    slow = template.machine.on_slow_host(3)
    object.__setattr__(template, "machine", slow)
    assert template.slowness == 3 * LOCKDEP_SLOWNESS
    assert template.limits == Limits().scaled(3 * LOCKDEP_SLOWNESS)
