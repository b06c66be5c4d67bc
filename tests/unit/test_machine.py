# SPDX-License-Identifier: MIT
"""The command line follows from the machine; phases from the console; keys from all of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import QemuMissingError, QemuTooOldError, UsageError
from harness.guest.template import boot_phase
from harness.vm.qemu import Qemu, find_qemu, require_version
from harness.vm.qemu_args import Descriptors, Memory, guest_command
from harness.vm.spec import MACHINES, machine

if TYPE_CHECKING:
    from collections.abc import Callable

QEMU = Qemu(Path("/usr/bin/qemu-system-aarch64"), (10, 0, 2), "QEMU 10.0.2", "x")


def command(*, shared: bool, incoming: bool = False) -> list[str]:
    return guest_command(
        QEMU,
        MACHINES["emulator"],
        image=Path("/k/Image"),
        disk=Path("/i/root.ext4"),
        memory=Memory(Path("/t/ram"), shared=shared),
        descriptors=Descriptors(3, 4, 5, 6, 7),
        append="mem=512M",
        incoming=incoming,
    )


def test_guest_is_reachable_on_loopback_only() -> None:
    net = next(word for word in command(shared=True) if word.startswith("user,"))
    assert "restrict=on" in net
    assert "hostfwd=tcp:127.0.0.1:0-" in net


def test_clone_cannot_damage_the_template() -> None:
    backend = next(w for w in command(shared=False) if w.startswith("memory-backend-file"))
    assert "share=off" in backend
    assert "readonly=on" in backend
    assert command(shared=False, incoming=True)[-2:] == ["-incoming", "defer"]
    assert "-incoming" not in command(shared=True)


def test_root_disk_is_never_written() -> None:
    root = next(w for w in command(shared=True) if "file=/i/root.ext4" in w)
    assert "readonly=on" in root


def test_a_reset_pauses_so_that_registers_can_be_read() -> None:
    words = command(shared=True)
    assert words[words.index("-action") + 1] == "reboot=shutdown,shutdown=pause"


def test_kernel_arguments_end_with_the_callers() -> None:
    words = command(shared=True)
    assert words[words.index("-append") + 1].endswith(" mem=512M")


def test_key_changes_with_what_the_guest_sees() -> None:
    spec = MACHINES["emulator"]
    assert dataclasses.replace(spec, description="other words").key() == spec.key()
    assert dataclasses.replace(spec, memory_mib=2048).key() != spec.key()
    assert dataclasses.replace(spec, cpus=1).key() != spec.key()


def test_unknown_machine_names_the_known() -> None:
    with pytest.raises(UsageError, match="emulator"):
        machine("toaster")


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("", "QEMU started, no output from the kernel"),
        ("[0.0] Booting Linux on physical CPU\n[0.0] Linux version 6.12", "early kernel"),
        ("Booting Linux\nRun /init as init process", "kernel up, init started"),
        ("Booting Linux\nRun /init as init process\nmte-harness: init", "init running"),
    ],
)
def test_boot_phase(text: str, phase: str) -> None:
    assert boot_phase(text) == phase


def test_qemu_missing() -> None:
    with pytest.raises(QemuMissingError, match="no no-such-qemu"):
        find_qemu("no-such-qemu")


def test_qemu_version_is_read(shim: Callable[..., Path]) -> None:
    shim("qemu-system-aarch64", 'echo "QEMU emulator version 8.2.1 (Ubuntu 1:8.2)"')
    find_qemu.cache_clear()
    assert find_qemu().version == (8, 2, 1)
    assert find_qemu().banner == "QEMU 8.2.1 (Ubuntu 1:8.2)"
    find_qemu.cache_clear()


def test_qemu_too_old() -> None:
    with pytest.raises(QemuTooOldError, match=r"8\.2 or newer"):
        require_version(dataclasses.replace(QEMU, version=(7, 2, 22)))
    require_version(QEMU)
