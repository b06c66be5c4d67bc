# SPDX-License-Identifier: MIT
"""Debian 12's own QEMU 7.2 keeps one tag for a whole page: the verdict must be refused."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.errors import MachineError, QemuCheckError
from harness.core.progress import plain_progress
from harness.suite.target import parse_target
from harness.vm import tags_in_dram
from harness.vm.emulator_check import check_emulator
from harness.vm.packaged_qemu import obtain_qemu
from harness.vm.qemu import find_qemu
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from harness.core.ktap import Document
    from harness.suite.session import Session
    from harness.vm.spec import MachineSpec
    from harness.vm.virtual_machine import VirtualMachine


@pytest.fixture(scope="module")
def old_qemu(harness_session: Session) -> Path:
    return obtain_qemu("7.2", harness_session.cache, plain_progress())


def run_check(session: Session, machine: VirtualMachine) -> Document:
    return check_emulator(machine, session.programs).document


@pytest.mark.parametrize("name", ["emulator", "dram", "dram-two-regions/unaware"])
def test_this_qemu_is_right(name: str, harness_session: Session) -> None:
    document = run_check(harness_session, harness_session.machine(find_machine(name)))
    assert document.passed
    assert len(document.results) >= 13


def test_a_machine_with_el2_is_right(harness_session: Session) -> None:
    """QEMU then enters the check at EL2; nightly tests boot kernels on such a machine."""
    spec = find_machine("dram")
    virtual = dataclasses.replace(spec, qemu_machine=f"{spec.qemu_machine},virtualization=on")
    assert run_check(harness_session, harness_session.machine(virtual)).passed


def test_qemu_7_2_is_wrong(old_qemu: Path, machine: MachineSpec, harness_session: Session) -> None:
    old = dataclasses.replace(harness_session.machine(machine), qemu=find_qemu(str(old_qemu)))
    with pytest.raises(QemuCheckError) as caught:
        run_check(harness_session, old)
    assert "QEMU 7.2" in caught.value.cause
    assert "one_tag_per_granule" in caught.value.cause
    assert "bookworm-backports" in caught.value.cure


def test_verdict_is_refused(
    old_qemu: Path, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = cli("validate", "stock", "--qemu-binary", str(old_qemu))
    assert done.returncode == errors.QemuCheckError.status
    assert "worthless" in done.stderr
    assert "Traceback" not in done.stderr


def test_machine_without_mte_is_refused(machine: MachineSpec, harness_session: Session) -> None:
    without = dataclasses.replace(machine, qemu_machine="virt,gic-version=3")
    with pytest.raises(QemuCheckError, match=r"Bail out|no FEAT_MTE2|no result|plan"):
        run_check(harness_session, harness_session.machine(without))


@pytest.mark.parametrize("shift", [0, 4096])
def test_tags_elsewhere_are_seen(
    shift: int, harness_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU is made to keep its tags outside DRAM, or a page further on in DRAM."""
    machine = harness_session.machine(find_machine("dram"))
    template = harness_session.prepare(parse_target("stock", "dram"))
    right = tags_in_dram.environment

    def wrong(library: Path, spec: MachineSpec, dram: int) -> dict[str, str]:
        (region,) = spec.tags
        moved = dataclasses.replace(region, storage=region.storage + shift)
        return right(library, dataclasses.replace(spec, tags=(moved,)), dram) if shift else {}

    monkeypatch.setattr(tags_in_dram, "environment", wrong)
    with pytest.raises(QemuCheckError, match="the guest set are not in DRAM at 0x78600000 and 5"):
        run_check(harness_session, machine)
    # Nor does a guest start so: the place is checked before its first instruction.
    with pytest.raises(MachineError, match="0 of 1 regions are in place"):
        harness_session.guest(template)
