# SPDX-License-Identifier: MIT
"""A guest booted once and saved, from which each test gets a clone."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pexpect

from harness.core.cross import PAGE_SIZES
from harness.core.deadline import Deadline
from harness.core.disk import disk_full
from harness.core.errors import BootError, HarnessError
from harness.core.keys import content_key, key_of
from harness.guest.facts import Facts
from harness.guest.seal import read_seal, write_seal
from harness.vm.cpu_share import PATIENCE, CpuWatch, starved_error
from harness.vm.qemu_args import ColdBoot, GuestFiles, Restore, SavedMachine, kernel_arguments
from harness.vm.run_disk import RunKeys

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.limits import Limits
    from harness.core.store import Store
    from harness.guest.root_image import GuestImage
    from harness.kernel import Kernel
    from harness.vm.console import Console
    from harness.vm.process import QemuProcess
    from harness.vm.spec import MachineSpec
    from harness.vm.virtual_machine import VirtualMachine

# Part of each template's key: raise it when the files of a template, or their use, change.
FORMAT = 5

# What the console shows of each phase of a boot, in order.
PHASES = (
    (r"", "QEMU started, no output from the kernel"),
    (r"Booting Linux|Linux version", "early kernel"),
    (r"Run /init as init process", "kernel up, init started"),
    (r"mte-harness: init", "init running"),
    (r"mte-harness: ready", "ready"),
)
# For pexpect, whose `.` matches line ends, too.
READY = r"mte-harness: ready"
FAILED = r"mte-harness: (failed[^\r\n]*)\r?\n"
PANIC = r"(Kernel panic - not syncing: [^\r\n]*)\r?\n"
# How often a silent guest's machine is asked whether it has reset, in seconds.
# What guest/initramfs.c prints when it fails: no fault of the kernel.
_OURS = re.compile(r"mte-harness: initramfs: ([^\r\n]*)")
ASK = 0.25
# With lockdep a kernel is three to six times slower under TCG.
LOCKDEP_SLOWNESS = 6
# A huge page of 32 MiB has 16 times as many granules as one of 2 MiB, and 64 KiB as many as 16
# pages of 4 KiB. Not all that a probe does is by page.
LARGE_PAGE_SLOWNESS = 4


@dataclass(frozen=True)
class Template:
    """A saved guest: its files in ``directory``, and how it was made.

    ``boot_seconds``: power-on to the ready line. ``facts``: what was learned about the
    kernel in one clone and holds in all.
    """

    key: str
    directory: Path
    machine: VirtualMachine
    kernel: Kernel
    image: GuestImage
    append: str
    boot_seconds: float
    facts: Facts = field(default_factory=Facts, compare=False)

    @property
    def spec(self) -> MachineSpec:
        """The machine's data."""
        return self.machine.spec

    @property
    def slowness(self) -> int:
        """How many times as long as in its head comment a program may take on this kernel, here."""
        return slowness(self.kernel) * self.machine.slowness

    @property
    def limits(self) -> Limits:
        """The session's time limits, scaled for this kernel and host."""
        return self.machine.limits.scaled(slowness(self.kernel))

    @property
    def console(self) -> str:
        """The console text of the template's boot."""
        return (self.directory / "console.log").read_text(errors="replace")

    def clone(self, keys: RunKeys, gdb: Path | None = None) -> QemuProcess:
        """Return a running clone that accepts ``keys``; ``gdb`` as for `VirtualMachine.launch`.

        Raise as that does.
        """
        saved = SavedMachine(self.directory)
        files = guest_files(self.kernel, self.image, keys, self.append)
        return self.machine.launch(Restore(saved), files, gdb)


def slowness(kernel: Kernel) -> int:
    """Return the factor of all time limits on ``kernel``."""
    lockdep = LOCKDEP_SLOWNESS if kernel.built_with("CONFIG_PROVE_LOCKING") else 1
    return lockdep * (1 if kernel.page_size == PAGE_SIZES[0] else LARGE_PAGE_SLOWNESS)


def guest_files(kernel: Kernel, image: GuestImage, keys: RunKeys, append: str = "") -> GuestFiles:
    """Return the software of a guest that accepts ``keys``."""
    return GuestFiles(kernel.image, image.disk, keys.disk(), append, kernel.initramfs)


def boot_phase(console: str) -> str:
    """Return the last of ``PHASES`` that the console text shows."""
    reached = PHASES[0][1]
    for pattern, name in PHASES[1:]:
        if re.search(pattern, console):
            reached = name
    return reached


def _boot_failure(process: QemuProcess, kernel: Kernel, what: str) -> HarnessError:
    if ours := _OURS.search(process.console.text()):
        return HarnessError(
            f"the modules of kernel {kernel.name} give no root file system: {ours[1]}",
            "report this",
            process.console.tail(60),
        )
    return BootError(
        f"kernel {kernel.name} did not come up: {what}; "
        f"phase reached: {boot_phase(process.console.text())}",
        details="\n".join(
            [
                "console, last 60 lines:",
                process.console.tail(60) or "(nothing)",
                "registers:",
                process.registers(),
                process.describe(),
            ]
        ),
    )


def _matched(console: Console) -> str:
    """Return the first group of the pattern that ``console.expect`` has found."""
    assert isinstance(console.match, re.Match)
    return str(console.match[1])


def wait_ready(process: QemuProcess, kernel: Kernel, limits: Limits) -> None:
    """Wait for the ready line of the guest's agent.

    Raise BootError, with phase, console and registers, when the agent reports a failure,
    the kernel panics or resets the machine, or ``limits.boot`` has passed. The host's fault are
    QemuDiedError, when QEMU ends, and HarnessError for a guest that gets no CPU for PATIENCE times
    that long.
    """
    console, deadline = process.console, Deadline.after(limits.boot)
    watch, patience = CpuWatch(process.cpu_times), PATIENCE
    while True:
        found = console.expect(
            [READY, FAILED, PANIC, pexpect.EOF, pexpect.TIMEOUT], timeout=min(ASK, deadline.left())
        )
        if found == 0:
            return
        if found in (1, 2):
            reason = _matched(console)
            if found == 2:  # the machine resets only after the panic's call trace
                process.wait_status("shutdown", Deadline.after(limits.exit))
            raise _boot_failure(process, kernel, reason)
        if process.status() == "shutdown":  # raises QemuDiedError when QEMU has ended
            # The machine may stop before all of the console has been read.
            panicked = console.expect([PANIC, pexpect.EOF, pexpect.TIMEOUT], timeout=ASK) == 0
            reason = _matched(console) if panicked else "it reset the machine"
            raise _boot_failure(process, kernel, reason)
        if deadline.passed() and watch.starved():
            patience -= 1
            if not patience:
                raise starved_error(f"kernel {kernel.name} does not come up", process.describe())
            deadline, watch = Deadline.after(limits.boot), CpuWatch(process.cpu_times)
        elif deadline.passed():
            raise _boot_failure(process, kernel, f"silent for {limits.boot:.0f} s (hang)")


def template_key(machine: VirtualMachine, kernel: Kernel, image: GuestImage, append: str) -> str:
    """Return the key of the saved guest, made from all that it depends on."""
    tree = machine.device_tree
    return key_of(
        {
            "format": FORMAT,
            "qemu": [machine.qemu.identity, machine.qemu.banner],
            "machine": machine.spec.key(),
            "device tree": content_key(tree.read_bytes()) if tree else None,
            "kernel": kernel.key,
            "image": image.key,
            "command line": kernel_arguments(machine.spec, append),
        }
    )


def obtain_template(
    store: Store, machine: VirtualMachine, kernel: Kernel, image: GuestImage, append: str = ""
) -> Template:
    """Return the template of this kernel on this machine, booted and saved if need be.

    Raise BootError when the kernel does not come up, DiskFullError without room, and ArtifactError
    for a saved guest that is damaged.
    """
    key = template_key(machine, kernel, image, append)

    def make(directory: Path) -> None:
        machine.progress.step(f"booting {kernel.name} on {machine.spec.name}")
        room = shutil.disk_usage(directory).free
        if room < machine.spec.memory // 2:
            raise disk_full(
                directory.parent, f"a saved guest may take more than the {room >> 20} MiB left"
            )
        saved = SavedMachine(directory)
        started = time.monotonic()
        files = guest_files(kernel, image, RunKeys.generate(), append)
        with machine.launch(ColdBoot(saved), files) as process:
            wait_ready(process, kernel, machine.limits.scaled(slowness(kernel)))
            seconds = time.monotonic() - started
            machine.save(process, saved)
            (directory / "console.log").write_text(process.console.text())
        meta = {"boot_seconds": seconds, "kernel": kernel.name, "qemu": machine.qemu.banner}
        write_seal(directory, meta)

    directory = store.obtain(key, make)
    meta = read_seal(directory)
    return Template(key, directory, machine, kernel, image, append, meta["boot_seconds"])
