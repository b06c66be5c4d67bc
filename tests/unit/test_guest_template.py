# SPDX-License-Identifier: MIT
"""Boots that succeed, fail and hang, with a scripted QEMU in place of a guest."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import BootError, DiskFullError, HarnessError, QemuDiedError
from harness.core.limits import Limits
from harness.core.progress import Silent
from harness.core.store import Store
from harness.guest.root_image import GuestImage
from harness.guest.template import Template, boot_phase, obtain_template, template_key
from harness.vm.qemu import Qemu
from harness.vm.run_disk import RunKeys
from tests.support.fake_session import fake_kernel
from tests.support.qmp_peer import DIE, Script, arguments, write_qemu
from tests.support.scripted_guest import fake_machine

if TYPE_CHECKING:
    from pathlib import Path

    from harness.vm.virtual_machine import VirtualMachine

LIMITS = Limits(boot=20.0, qmp=20.0, exit=0.2, migrate=0.2)
EARLY = "[    0.000000] Booting Linux on physical CPU 0x0000000000\r\n"
INIT = "[    1.000000] Run /init as init process\r\n"
READY = f"{EARLY}{INIT}mte-harness: init\r\nmte-harness: ready\r\n"
PANIC = "[    1.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"


def machine(directory: Path, script: Script, limits: Limits = LIMITS) -> VirtualMachine:
    qemu = Qemu(write_qemu(directory, script), (10, 0, 2), "QEMU 10.0.2", "peer")
    return fake_machine(qemu=qemu, scratch=directory, limits=limits)


def boot(directory: Path, script: Script, limits: Limits = LIMITS) -> Template:
    store = Store(directory, "templates", Silent())
    image = GuestImage("image", directory / "root.ext4")
    return obtain_template(
        store, machine(directory, script, limits), fake_kernel(directory), image, "x=1"
    )


def test_a_boot_is_saved_once(tmp_path: Path) -> None:
    template = boot(tmp_path, Script(console=READY))
    files = sorted(path.name for path in template.directory.iterdir())
    assert files == ["console.log", "dram", "meta.json", "state"]
    assert template.console == READY.replace("\r\n", "\n")
    meta = json.loads((template.directory / "meta.json").read_text())
    assert meta["boot_seconds"] == template.boot_seconds > 0
    again = boot(tmp_path, Script(console=PANIC, status="shutdown"))  # would fail if it booted
    assert again.key == template.key


def test_a_clone_is_restored(tmp_path: Path) -> None:
    template = boot(tmp_path, Script(console=READY))
    restoring = machine(tmp_path, Script(status="inmigrate"))
    with dataclasses.replace(template, machine=restoring).clone(RunKeys.generate()) as process:
        assert process.status() == "running"
    words = arguments(restoring.qemu.path)
    assert words[words.index("-incoming") + 1] == "defer"
    assert f"mem-path={template.directory}/dram" in words[words.index("-object") + 1]
    assert words[words.index("-append") + 1].endswith(" x=1")


def test_a_saved_guest_that_qemu_does_not_take(tmp_path: Path) -> None:
    template = boot(tmp_path, Script(console=READY))
    stuck = machine(tmp_path, Script(replies={"query-status": [{"status": "inmigrate"}]}))
    with pytest.raises(QemuDiedError, match=r"does not take the saved guest \(state inm") as caught:
        dataclasses.replace(template, machine=stuck).clone(RunKeys.generate())
    assert caught.value.cure == f"mte-harness clean templates/{template.key}"


@pytest.mark.parametrize(
    ("script", "reason", "phase"),
    [
        (
            Script(console=EARLY + PANIC, status="shutdown"),
            "Kernel panic - not syncing: VFS: Unable to mount root fs",
            "early kernel",
        ),
        (Script(console=EARLY, status="shutdown"), "it reset the machine", "early kernel"),
        (
            Script(console=f"{EARLY}{INIT}mte-harness: failed to mount /tmp\r\n"),
            "failed to mount /tmp",
            "kernel up, init started",
        ),
    ],
    ids=["panic", "reset", "agent"],
)
def test_a_failed_boot(script: Script, reason: str, phase: str, tmp_path: Path) -> None:
    with pytest.raises(BootError) as caught:
        boot(tmp_path, script)
    assert caught.value.cause == (f"kernel stock did not come up: {reason}; phase reached: {phase}")
    assert "Booting Linux" in caught.value.details
    assert "PC=ffff800080000000" in caught.value.details
    assert not list((tmp_path / "templates").glob("[!.]*[!k]")), "nothing is left half-made"


def test_a_panic_of_a_machine_that_never_resets(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="Unable to mount root fs"):
        boot(tmp_path, Script(console=EARLY + PANIC))


def test_a_hang(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, boot=0.3)
    with pytest.raises(BootError, match=r"silent for 0 s \(hang\); phase reached: QEMU started"):
        boot(tmp_path, Script(), limits)


def test_a_qemu_that_dies_during_the_boot_is_no_fault_of_the_kernel(tmp_path: Path) -> None:
    with pytest.raises(QemuDiedError, match="signal 9"):
        boot(tmp_path, Script(console=EARLY, replies={"query-status": [DIE]}))


def test_an_initramfs_that_fails_is_no_fault_of_the_kernel(tmp_path: Path) -> None:
    console = EARLY + (
        "mte-harness: initramfs: /3.ko: Exec format error\r\n"
        "[    1.0] Kernel panic - not syncing: Attempted to kill init!\r\n"
    )
    with pytest.raises(HarnessError, match=r"no root file system: /3\.ko: Exec format") as caught:
        boot(tmp_path, Script(console=console, replies={"query-status": [{"status": "shutdown"}]}))
    assert not isinstance(caught.value, BootError)


def test_no_room_for_the_state(tmp_path: Path) -> None:
    failed = {"status": "failed", "error-desc": "No space left on device"}
    script = Script(console=READY, replies={"query-migrate": [failed]})
    with pytest.raises(DiskFullError, match="could not be saved: No space left on device"):
        boot(tmp_path, script)


def test_a_save_that_does_not_end(tmp_path: Path) -> None:
    script = Script(console=READY, replies={"query-migrate": [{"status": "active"}]})
    with pytest.raises(HarnessError, match="could not be saved: active") as caught:
        boot(tmp_path, script)
    assert not isinstance(caught.value, DiskFullError)


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


def test_key_changes_with_what_the_saved_guest_depends_on(tmp_path: Path) -> None:
    one = fake_machine()
    image, kernel = GuestImage("image", tmp_path), fake_kernel(tmp_path)
    (tmp_path / "tree.dtb").write_bytes(b"tree")
    keys = {
        template_key(one, kernel, image, ""),
        template_key(one, kernel, image, "x=1"),
        template_key(one, dataclasses.replace(kernel, key="other"), image, ""),
        template_key(one, kernel, dataclasses.replace(image, key="other"), ""),
        template_key(fake_machine("dram"), kernel, image, ""),
        template_key(
            dataclasses.replace(one, device_tree=tmp_path / "tree.dtb"), kernel, image, ""
        ),
    }
    assert len(keys) == 6
    assert template_key(one, kernel, image, "") in keys
