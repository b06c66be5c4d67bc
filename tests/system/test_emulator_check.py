# SPDX-License-Identifier: MIT
"""Debian 12's own QEMU 7.2 keeps one tag for a whole page: the verdict must be refused."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from harness import errors
from harness.errors import QemuCheckError
from harness.host.debs import qemu_7_2
from harness.machine.check import check_emulator
from harness.machine.qemu import find_qemu
from harness.progress import plain_progress
from harness.store import Store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from harness.machine.spec import MachineSpec
    from harness.session import Session


@pytest.fixture(scope="module")
def old_qemu(harness_session: Session) -> Path:
    store = Store(harness_session.cache, "qemu-7.2", plain_progress())
    return qemu_7_2(store, harness_session.cache / "downloads", plain_progress())


def test_this_qemu_is_right(machine: MachineSpec, harness_session: Session) -> None:
    document = check_emulator(harness_session.qemu, machine, harness_session.programs)
    assert document.passed
    assert len(document.results) >= 13


def test_qemu_7_2_is_wrong(old_qemu: Path, machine: MachineSpec, harness_session: Session) -> None:
    with pytest.raises(QemuCheckError) as caught:
        check_emulator(find_qemu(str(old_qemu)), machine, harness_session.programs)
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
    without = dataclasses.replace(machine, machine="virt,gic-version=3")
    with pytest.raises(QemuCheckError, match=r"Bail out|no FEAT_MTE2|no result|plan"):
        check_emulator(harness_session.qemu, without, harness_session.programs)
