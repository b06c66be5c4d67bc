# SPDX-License-Identifier: MIT
"""A machine with tags in DRAM is checked before its guest runs, and leaves nothing if it fails."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError, MachineError, QemuDiedError
from harness.core.limits import Limits
from harness.vm.qemu import Qemu
from harness.vm.qemu_args import ColdBoot, GuestFiles, Restore, SavedMachine
from tests.support.qmp_peer import Script, arguments, write_qemu
from tests.support.scripted_guest import fake_machine

if TYPE_CHECKING:
    from harness.vm.virtual_machine import VirtualMachine

FILES = GuestFiles(Path("/k/Image"), Path("/i/root.ext4"), b"run disk")


def machine(directory: Path, script: Script) -> VirtualMachine:
    qemu = Qemu(write_qemu(directory, script), (10, 0, 2), "QEMU 10.0.2", "peer")
    made = fake_machine("dram", qemu=qemu, scratch=directory, limits=Limits(qmp=20.0))
    return dataclasses.replace(made, library=Path("/lib/x86_64-linux-gnu/libc.so.6"))


def descriptors() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


def test_another_layout_of_memory_is_refused(tmp_path: Path) -> None:
    before = descriptors()
    script = Script(replies={"info mtree": ["no memory at all"], "info ramblock": [""]})
    broken = machine(tmp_path, script)
    with pytest.raises(MachineError, match="lays out memory differently: DRAM moved"):
        broken.launch(ColdBoot(SavedMachine(tmp_path)), FILES)
    assert "-S" in arguments(broken.qemu.path)
    assert descriptors() == before


def test_a_truncated_saved_dram_is_refused(tmp_path: Path) -> None:
    saved = SavedMachine(tmp_path / "templates" / "key")
    saved.directory.mkdir(parents=True)
    saved.dram.write_bytes(b"short")
    before = descriptors()
    with pytest.raises(ArtifactError, match=r"is truncated .*mte-harness clean templates/key"):
        machine(tmp_path, Script()).launch(Restore(saved), FILES)
    assert descriptors() == before


def test_a_qemu_that_refuses_its_options(tmp_path: Path) -> None:
    before = descriptors()
    script = Script(output="qemu: unknown machine", exit_status=1)
    with pytest.raises(QemuDiedError, match="exit status 1: qemu: unknown machine"):
        machine(tmp_path, script).launch(ColdBoot(SavedMachine(tmp_path)), FILES)
    assert descriptors() == before


def test_a_command_for_a_person_gives_dram_a_file_without_a_name(tmp_path: Path) -> None:
    """The script is run with a program in QEMU's place that says what it was given."""
    made = machine(tmp_path, Script())
    words = made.by_hand(FILES)
    shown = tmp_path / "qemu.sh"
    shown.write_text(
        '#!/bin/sh\nstat -L -c "%s %h" /proc/self/fd/9\necho "$MTE_TAGS_IN_DRAM $LD_PRELOAD"\n'
        'echo "$@"\n'
    )
    shown.chmod(0o755)
    words = [str(shown) if word == str(made.qemu.path) else word for word in words]
    done = subprocess.run(
        ["sh", "-c", shlex.join(words)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    size, variables, command = done.stdout.splitlines()
    assert size == f"{made.spec.memory} 0"
    assert variables == f"9:939524096+33554432 {made.library}"
    assert "mem-path=/proc/self/fd/9,share=on" in command
    assert not list(tmp_path.glob("tmp.*"))


def test_a_qemu_that_is_not_there(tmp_path: Path) -> None:
    before = descriptors()
    made = machine(tmp_path, Script())
    made.qemu.path.unlink()
    with pytest.raises(QemuDiedError, match="No such file"):
        made.launch(ColdBoot(SavedMachine(tmp_path)), FILES)
    assert descriptors() == before
