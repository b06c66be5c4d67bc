# SPDX-License-Identifier: MIT
"""The QEMU command line, derived from a machine in this one place.

File descriptors are handed to QEMU instead of paths (console and QMP sockets,
the swap and run disks), so that nothing has a name that could be left behind,
guessed or raced for.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from harness.vm.qemu import Qemu
    from harness.vm.spec import MachineSpec


@dataclass(frozen=True)
class Memory:
    """The guest's DRAM: a file, shared while a template is made, else mapped privately."""

    path: Path
    shared: bool


@dataclass(frozen=True)
class Descriptors:
    """File descriptors that QEMU inherits.

    QEMU takes from a set the descriptor whose access mode fits, and asks for a
    read-only one first (util/osdep.c, monitor_fdset_dup_fd_add): the swap disk
    needs one of each.
    """

    qmp: int
    console: int
    swap: int
    swap_read_only: int
    run_read_only: int

    def all(self) -> tuple[int, ...]:
        """For ``Popen(pass_fds=)``."""
        return dataclasses.astuple(self)


def kernel_arguments(spec: MachineSpec, extra: str = "") -> str:
    """The kernel's command line.

    ``earlycon`` shows a panic that comes before the console driver; ``panic=-1``
    turns a panic into a reset, which QEMU reports and stops at.
    """
    words = "console=ttyAMA0 earlycon root=/dev/vda ro init=/init panic=-1"
    return " ".join(filter(None, [words, spec.append, extra]))


def memory_backend(spec: MachineSpec, memory: Memory) -> list[str]:
    """DRAM as an object called ``dram``."""
    backend = f"memory-backend-file,id=dram,size={spec.memory_mib}M,mem-path={memory.path}"
    if memory.shared:
        backend += ",share=on"
    else:
        # The template's file is mapped copy-on-write and cannot be damaged
        # (QEMU, docs/system/vm-templating.rst).
        backend += ",share=off,readonly=on,rom=off"
    return ["-object", backend]


def _disk(identity: str, source: str, serial: str, *, read_only: bool) -> list[str]:
    # Nobody else has these files; a lock would be taken on a shared description.
    drive = f"if=none,id={identity},format=raw,file={source},cache=unsafe,file.locking=off"
    if read_only:
        drive += ",readonly=on"
    # romfile=: Debian without recommended packages lacks the PXE ROM.
    return ["-drive", drive, "-device", f"virtio-blk-pci,drive={identity},serial={serial},romfile="]


def guest_command(
    qemu: Qemu,
    spec: MachineSpec,
    *,
    image: Path,
    disk: Path,
    memory: Memory,
    descriptors: Descriptors,
    append: str = "",
    device_tree: Path | None = None,
    incoming: bool = False,
    stopped: bool = False,
) -> list[str]:
    """The full command line of a guest: cold boot, or waiting for a template.

    ``device_tree`` replaces QEMU's own. ``stopped``: it waits for QMP's ``cont``.
    """
    command = [
        str(qemu.path),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-machine",
        f"{spec.machine},memory-backend=dram",
        "-cpu",
        spec.cpu,
        "-smp",
        str(spec.cpus),
        "-m",
        f"{spec.memory_mib}M",
        *(["-icount", "shift=0,sleep=off"] if spec.icount else []),
        *memory_backend(spec, memory),
        "-kernel",
        str(image),
        "-append",
        kernel_arguments(spec, append),
        # A reset (panic=-1, reboot loop) or power-off pauses the machine, so that
        # its registers can still be read over QMP.
        "-action",
        "reboot=shutdown,shutdown=pause",
        "-chardev",
        f"socket,id=qmp,fd={descriptors.qmp}",
        "-mon",
        "chardev=qmp,mode=control",
        "-chardev",
        f"socket,id=console,fd={descriptors.console}",
        "-serial",
        "chardev:console",
        *_disk("root", str(disk), "mte-root", read_only=True),
        "-add-fd",
        f"fd={descriptors.swap},set=1",
        "-add-fd",
        f"fd={descriptors.swap_read_only},set=1",
        *_disk("swap", "/dev/fdset/1", "mte-swap", read_only=False),
        "-add-fd",
        f"fd={descriptors.run_read_only},set=2",
        *_disk("run", "/dev/fdset/2", "mte-run", read_only=True),
        "-netdev",
        # Port 0: the host's kernel picks a free one; `info usernet` tells which.
        "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
        "-device",
        "virtio-rng-pci",
    ]
    if device_tree:
        command += ["-dtb", str(device_tree)]
    if stopped:
        command.append("-S")
    if incoming:
        command += ["-incoming", "defer"]
    return command
