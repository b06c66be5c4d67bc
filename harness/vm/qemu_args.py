# SPDX-License-Identifier: MIT
"""Every QEMU command line of the harness, derived from a machine and a way to start it.

A guest's sockets and disks are handed to QEMU as file descriptors instead of paths, so
that none of them has a name that could be left behind, guessed or raced for.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.vm.confined import SANDBOX

if TYPE_CHECKING:
    from pathlib import Path

    from harness.vm.qemu import Qemu
    from harness.vm.spec import MachineSpec


@dataclass(frozen=True)
class SavedMachine:
    """A machine that was stopped and written to ``directory``."""

    directory: Path

    @property
    def dram(self) -> Path:
        """The contents of DRAM, a sparse file."""
        return self.directory / "dram"

    @property
    def state(self) -> Path:
        """QEMU's migration stream without DRAM; with the tags, where QEMU keeps them outside."""
        return self.directory / "state"


@dataclass(frozen=True)
class ColdBoot:
    """Power the machine on, to be saved to ``saved`` later.

    QEMU creates ``saved.dram`` and keeps the guest's memory in it from the start, except
    where the tags lie in DRAM: there the file is written when the machine is saved.
    """

    saved: SavedMachine


@dataclass(frozen=True)
class Restore:
    """Continue a machine that was saved. It sees a private copy of ``saved.dram``."""

    saved: SavedMachine


@dataclass(frozen=True)
class GuestFiles:
    """The software of a guest: kernel Image, root disk (ext4, read-only), run disk, initramfs.

    ``run_disk`` is the content of a small disk with this run's keys (run_disk.py);
    ``append`` are parameters after those of the machine on the kernel's command line.
    """

    image: Path
    root_disk: Path
    run_disk: bytes
    append: str = ""
    initramfs: Path | None = None


@dataclass(frozen=True)
class Descriptors:
    """File descriptors that QEMU inherits.

    QEMU takes from a set the descriptor whose access mode fits, and asks for a
    read-only one first (util/osdep.c, monitor_fdset_dup_fd_add): the swap disk
    needs one of each. ``gdb`` is a socket that listens for a debugger, None without one.
    """

    qmp: int
    console: int
    swap: int
    swap_read_only: int
    run_read_only: int
    gdb: int | None = None

    def all(self) -> tuple[int, ...]:
        """Return all of them, as ``Popen(pass_fds=)`` takes them."""
        return tuple(fd for fd in dataclasses.astuple(self) if fd is not None)


def kernel_arguments(spec: MachineSpec, append: str = "") -> str:
    """Return the kernel's command line.

    ``earlycon`` shows a panic that comes before the console driver; ``panic=-1``
    turns a panic into a reset, which QEMU reports and stops at; ``ignore_loglevel`` shows every
    splat and the ready line, although ``append`` may have ``quiet`` or ``loglevel=3``.
    """
    basic = "console=ttyAMA0 earlycon root=/dev/vda ro init=/init panic=-1 ignore_loglevel"
    return " ".join(filter(None, [basic, spec.append, append]))


def guest_command(
    qemu: Qemu,
    spec: MachineSpec,
    start: ColdBoot | Restore,
    files: GuestFiles,
    descriptors: Descriptors,
    *,
    device_tree: Path | None = None,
    dram_path: str | None = None,
) -> list[str]:
    """Return the command line of a guest.

    ``device_tree`` replaces QEMU's own. ``dram_path`` is DRAM with the tags in it; such a
    machine is powered on stopped, so that the place of its tags is checked (tags_in_dram.py)
    before the guest's first instruction.
    """
    if dram_path:
        backend = _backend(spec, dram_path, "share=on")
    elif isinstance(start, ColdBoot):
        backend = _backend(spec, str(start.saved.dram), "share=on")
    else:
        # Mapped copy-on-write: a clone cannot damage the saved file
        # (QEMU, docs/system/vm-templating.rst).
        backend = _backend(spec, str(start.saved.dram), "share=off,readonly=on,rom=off")
    return [
        *_machine_with_software(qemu, spec, files, backend),
        # A reset (panic=-1, reboot loop) or power-off pauses the machine, so that
        # its registers can still be read over QMP.
        *["-action", "reboot=shutdown,shutdown=pause"],
        *["-chardev", f"socket,id=qmp,fd={descriptors.qmp}", "-mon", "chardev=qmp,mode=control"],
        *["-chardev", f"socket,id=console,fd={descriptors.console}", "-serial", "chardev:console"],
        *_disk("root", _file(files.root_disk), read_only=True),
        *["-add-fd", f"fd={descriptors.swap},set=1"],
        *["-add-fd", f"fd={descriptors.swap_read_only},set=1"],
        *_disk("swap", _file("/dev/fdset/1"), read_only=False),
        *["-add-fd", f"fd={descriptors.run_read_only},set=2"],
        *_disk("run", _file("/dev/fdset/2"), read_only=True),
        # Port 0: the host's kernel picks a free one, which `info usernet` then shows.
        *_network(",hostfwd=tcp:127.0.0.1:0-10.0.2.15:22"),
        *_device_tree(device_tree),
        *([] if descriptors.gdb is None else _gdb(descriptors.gdb)),
        *(["-S"] if dram_path and isinstance(start, ColdBoot) else []),
        *(["-incoming", "defer"] if isinstance(start, Restore) else []),
    ]


def by_hand_command(
    qemu: Qemu,
    spec: MachineSpec,
    files: GuestFiles,
    *,
    device_tree: Path | None = None,
    dram_path: str | None = None,
) -> list[str]:
    """Return the command line with which a person cold-boots the guest on a terminal.

    Machine, software and devices are those of guest_command(). The console and QEMU's monitor are
    on stdio (Ctrl-A X ends it), and the swap disk is a temporary file that QEMU unlinks. The run
    disk is blank: nobody has the keys to log in.
    """
    if dram_path:
        backend = _backend(spec, dram_path, "share=on")
    else:
        backend = ["-object", f"memory-backend-ram,id=dram,size={spec.memory_mib}M"]
    return [
        *_machine_with_software(qemu, spec, files, backend),
        *["-action", "reboot=shutdown", "-serial", "mon:stdio"],
        *_disk("root", _file(files.root_disk), read_only=True),
        *_disk("swap", f"{_blank(f'{spec.swap_mib}M')},snapshot=on", read_only=False),
        *_disk("run", _blank("64K"), read_only=True),
        *_network(),
        *_device_tree(device_tree),
    ]


def bare_command(
    qemu: Qemu, spec: MachineSpec, program: Path, dram_path: str | None = None
) -> list[str]:
    """Return the command line that runs a bare-metal program, with its UART on stdout."""
    if dram_path:
        machine = _machine(qemu, spec, ",memory-backend=dram")
        machine += _backend(spec, dram_path, "share=on")
    else:
        machine = _machine(qemu, spec)
    return [*machine, "-kernel", str(program), "-serial", "stdio"]


def dump_command(qemu: Qemu, spec: MachineSpec, blob: Path) -> list[str]:
    """Return the command line with which QEMU writes its device tree to ``blob`` and ends."""
    return [*_machine(qemu, spec, f",dumpdtb={blob}"), "-smp", str(spec.cpus)]


def _machine(qemu: Qemu, spec: MachineSpec, options: str = "") -> list[str]:
    return [
        *[str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none", *SANDBOX],
        *["-machine", f"{spec.qemu_machine}{options}"],
        *["-cpu", spec.cpu, "-m", f"{spec.memory_mib}M"],
    ]


def _machine_with_software(
    qemu: Qemu, spec: MachineSpec, files: GuestFiles, backend: list[str]
) -> list[str]:
    return [
        *_machine(qemu, spec, ",memory-backend=dram"),
        *["-smp", str(spec.cpus)],
        *(["-icount", "shift=0,sleep=off"] if spec.icount else []),
        *backend,
        *["-kernel", str(files.image), "-append", kernel_arguments(spec, files.append)],
        *(["-initrd", str(files.initramfs)] if files.initramfs else []),
    ]


def _network(forwarding: str = "") -> list[str]:
    return [
        *["-netdev", f"user,id=net,restrict=on{forwarding}"],
        *["-device", "virtio-net-pci,netdev=net,romfile="],
        *["-device", "virtio-rng-pci"],
    ]


def _gdb(listener: int) -> list[str]:
    # The stub is no part of the saved state: a clone may have it, and its template not.
    chardev = f"socket,id=gdb,fd={listener},server=on,wait=off"
    return ["-chardev", chardev, "-gdb", "chardev:gdb"]


def _device_tree(path: Path | None) -> list[str]:
    return ["-dtb", str(path)] if path else []


def _backend(spec: MachineSpec, path: str, options: str) -> list[str]:
    backend = f"memory-backend-file,id=dram,size={spec.memory_mib}M,mem-path={path},{options}"
    return ["-object", backend]


def _file(path: Path | str) -> str:
    # file.locking=off: the descriptors of a set share one open file description, with
    # which QEMU's own lock (OFD, fcntl(2)) would conflict.
    return f"file={path},file.locking=off"


def _blank(size: str) -> str:
    return f"file.driver=null-co,file.size={size},file.read-zeroes=on"


def _disk(name: str, source: str, *, read_only: bool) -> list[str]:
    drive = f"if=none,id={name},format=raw,{source},cache=unsafe"
    if read_only:
        drive += ",readonly=on"
    # romfile=: Debian without recommended packages lacks the PXE ROM.
    device = f"virtio-blk-pci,drive={name},serial=mte-{name},romfile="
    return ["-drive", drive, "-device", device]
