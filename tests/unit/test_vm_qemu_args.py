# SPDX-License-Identifier: MIT
"""QEMU's command line follows from the machine and from the way to start it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.vm.qemu import Qemu
from harness.vm.qemu_args import (
    ColdBoot,
    Descriptors,
    GuestFiles,
    Restore,
    SavedMachine,
    bare_command,
    by_hand_command,
    dump_command,
    guest_command,
)
from harness.vm.spec import MACHINES

QEMU = Qemu(Path("/usr/bin/qemu-system-aarch64"), (10, 0, 2), "QEMU 10.0.2", "x")
EMULATOR = MACHINES["emulator"]
SAVED = SavedMachine(Path("/t"))
BOOT, RESTORE = ColdBoot(SAVED), Restore(SAVED)
FILES = GuestFiles(Path("/k/Image"), Path("/i/root.ext4"), b"", "mem=512M")


def options(command: list[str]) -> dict[str, list[str]]:
    """Return the values of each option, in order; "" for one without a value."""
    found: dict[str, list[str]] = {}
    words = command[1:]
    while words:
        name = words.pop(0)
        assert name.startswith("-"), command
        found.setdefault(name, []).append(words.pop(0) if words and words[0][0] != "-" else "")
    return found


def guest(start: ColdBoot | Restore, dram_path: str | None = None) -> dict[str, list[str]]:
    descriptors = Descriptors(3, 4, 5, 6, 7)
    return options(guest_command(QEMU, EMULATOR, start, FILES, descriptors, dram_path=dram_path))


def backend(found: dict[str, list[str]]) -> list[str]:
    (value,) = found["-object"]
    return value.split(",")


def test_guest_is_reachable_on_loopback_only() -> None:
    (network,) = guest(BOOT)["-netdev"]
    assert "restrict=on" in network.split(",")
    assert "hostfwd=tcp:127.0.0.1:0-10.0.2.15:22" in network.split(",")


def test_cold_boot_writes_the_file_that_is_saved() -> None:
    found = guest(BOOT)
    assert {"mem-path=/t/dram", "share=on", "size=1024M"} <= set(backend(found))
    assert "-incoming" not in found
    assert "-S" not in found


def test_a_clone_cannot_damage_the_saved_file() -> None:
    found = guest(RESTORE)
    assert {"mem-path=/t/dram", "share=off", "readonly=on"} <= set(backend(found))
    assert found["-incoming"] == ["defer"]


def test_dram_with_tags_is_shared_however_it_starts() -> None:
    for start in (BOOT, RESTORE):
        found = guest(start, "/proc/self/fd/9")
        assert {"mem-path=/proc/self/fd/9", "share=on"} <= set(backend(found))
    assert "-S" in guest(BOOT, "/proc/self/fd/9"), "tags are checked before the first instruction"
    assert "-S" not in guest(RESTORE, "/proc/self/fd/9")


def test_disks_that_must_not_change_are_read_only() -> None:
    drives = [dict(part.split("=", 1) for part in d.split(",")) for d in guest(BOOT)["-drive"]]
    by_name = {drive["id"]: drive for drive in drives}
    assert by_name["root"]["file"] == "/i/root.ext4"
    assert by_name["root"]["readonly"] == by_name["run"]["readonly"] == "on"
    assert "readonly" not in by_name["swap"]


def test_a_reset_pauses_so_that_registers_can_be_read() -> None:
    assert guest(BOOT)["-action"] == ["reboot=shutdown,shutdown=pause"]


def test_kernel_arguments_end_with_the_callers() -> None:
    assert "-initrd" not in guest(BOOT)
    (arguments,) = guest(BOOT)["-append"]
    assert arguments.endswith(f"{EMULATOR.append} mem=512M")
    assert {"panic=-1", "ignore_loglevel"} < set(arguments.split())


def test_initramfs() -> None:
    files = dataclasses.replace(FILES, initramfs=Path("/k/initramfs"))
    words = guest_command(QEMU, EMULATOR, BOOT, files, Descriptors(3, 4, 5, 6, 7))
    assert options(words)["-initrd"] == ["/k/initramfs"]


def test_device_tree_and_icount_only_where_asked_for() -> None:
    assert not {"-dtb", "-icount"} & guest(BOOT).keys()
    counted = dataclasses.replace(EMULATOR, icount=True)
    found = options(
        guest_command(
            QEMU, counted, BOOT, FILES, Descriptors(3, 4, 5, 6, 7), device_tree=Path("/m.dtb")
        )
    )
    assert found["-dtb"] == ["/m.dtb"]
    assert found["-icount"] == ["shift=0,sleep=off"]


def test_gdb_listens_on_a_socket_that_was_handed_over() -> None:
    """Nothing else differs: a clone with a stub restores a template without one."""
    plain = guest_command(QEMU, EMULATOR, RESTORE, FILES, Descriptors(3, 4, 5, 6, 7))
    stub = guest_command(QEMU, EMULATOR, RESTORE, FILES, Descriptors(3, 4, 5, 6, 7, 8))
    added = ["-chardev", "socket,id=gdb,fd=8,server=on,wait=off", "-gdb", "chardev:gdb"]
    at = stub.index("-gdb") - 2
    assert stub[at : at + 4] == added
    assert stub[:at] + stub[at + 4 :] == plain


@pytest.mark.parametrize("dram_path", [None, "/proc/self/fd/9"])
def test_a_boot_by_hand_is_of_the_same_guest(dram_path: str | None) -> None:
    """It needs no descriptor of ours but DRAM's, and writes to no file of the cache."""
    tree = Path("/m.dtb")
    descriptors = Descriptors(3, 4, 5, 6, 7)
    files = dataclasses.replace(FILES, initramfs=Path("/k/initramfs"))
    ours = options(
        guest_command(
            QEMU, EMULATOR, BOOT, files, descriptors, device_tree=tree, dram_path=dram_path
        )
    )
    command = by_hand_command(QEMU, EMULATOR, files, device_tree=tree, dram_path=dram_path)
    theirs = options(command)
    for name in ("-machine", "-cpu", "-m", "-smp", "-kernel", "-append", "-initrd", "-device",
                 "-dtb"):  # fmt: skip
        assert theirs[name] == ours[name], name
    assert theirs["-serial"] == ["mon:stdio"]
    assert not {"-chardev", "-mon", "-add-fd", "-S", "-incoming"} & theirs.keys()
    assert not any("fd=" in word or "fdset" in word for word in command)
    assert [drive.split("id=")[1].split(",")[0] for drive in theirs["-drive"]] == [
        "root", "swap", "run",
    ]  # fmt: skip
    root, swap, run = theirs["-drive"]
    assert "readonly=on" in root
    assert "readonly=on" in run
    assert "file.driver=null-co,file.size=512M" in swap
    assert "snapshot=on" in swap


def test_check_and_dump_are_of_the_same_machine() -> None:
    spec = MACHINES["dram/carveout"]
    check = options(bare_command(QEMU, spec, Path("/c.elf"), "/proc/self/fd/9"))
    dump = options(dump_command(QEMU, spec, Path("/m.dtb")))
    assert check["-cpu"] == dump["-cpu"] == [spec.cpu]
    assert check["-m"] == dump["-m"] == ["1024M"]
    assert check["-machine"] == [f"{spec.qemu_machine},memory-backend=dram"]
    assert dump["-machine"] == [f"{spec.qemu_machine},dumpdtb=/m.dtb"]
    assert "share=on" in backend(check)
    assert "-object" not in options(bare_command(QEMU, EMULATOR, Path("/c.elf")))
