# SPDX-License-Identifier: MIT
"""The one class that starts guests: a machine, made ready, and the two ways to start it.

A guest is cold-booted once, saved, and from then on restored for each test. This is
QEMU's documented VM templating (docs/system/vm-templating.rst): DRAM is a shared file and
is left out of the saved state (``x-ignore-shared``); a restored machine maps that file
privately and reads the state, which takes about 0.1 s.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from harness.core.deadline import Deadline
from harness.core.disk import CURE, reports_disk_full
from harness.core.errors import DiskFullError, HarnessError, QemuDiedError
from harness.vm import tags_in_dram
from harness.vm.channels import Channels
from harness.vm.confined import Confined
from harness.vm.device_tree import obtain_device_tree
from harness.vm.dram import Dram
from harness.vm.geometry import check_geometry
from harness.vm.process import QemuProcess
from harness.vm.qemu_args import (
    ColdBoot,
    GuestFiles,
    Restore,
    SavedMachine,
    by_hand_command,
    guest_command,
)

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.limits import Limits
    from harness.core.progress import Progress
    from harness.core.store import Store
    from harness.vm.qemu import Qemu
    from harness.vm.spec import MachineSpec

# Bytes free on a disk of which QEMU's error message may not say that it is full.
NO_ROOM = 1 << 20
# The descriptor of DRAM in a command for a person: of one digit, as sh(1) wants it.
BY_HAND_FD = 9


@dataclass(frozen=True)
class VirtualMachine:
    """``spec`` on ``qemu``, ready to start.

    ``library`` (tags_in_dram.c) and ``device_tree`` are there if the tags lie in DRAM.
    ``scratch`` is a directory for files without a name. ``slowness``: how many times as long as its
    limits say a program may take on this host; ``limits`` have it in them.
    """

    spec: MachineSpec
    qemu: Qemu
    library: Path | None
    device_tree: Path | None
    scratch: Path
    progress: Progress
    limits: Limits
    slowness: int = 1

    def on_slow_host(self, slowness: int) -> VirtualMachine:
        """Return the machine on a host that is ``slowness`` times slower, with longer limits."""
        limits = self.limits.scaled(slowness / self.slowness)
        return dataclasses.replace(self, limits=limits, slowness=slowness)

    def launch(
        self, start: ColdBoot | Restore, files: GuestFiles, gdb: Path | None = None
    ) -> QemuProcess:
        """Start QEMU and return it with the guest's vCPUs running.

        ``gdb``: the Unix socket to make for a debugger, in a directory that only this user enters:
        who attaches has QEMU's monitor, and so all rights of this user.

        Where the tags lie in DRAM, DRAM is a file without a name that begins as a copy of
        the saved one: a private mapping would part the tags from it. Raise QemuDiedError
        when QEMU refuses the command line or the saved state, and MachineError when it put
        the tags elsewhere.
        """
        with contextlib.ExitStack() as undo:
            dram = undo.enter_context(self._new_dram()) if self.library else None
            if dram and isinstance(start, Restore):
                dram.load(start.saved.dram)
            channels = undo.enter_context(
                Channels(self.spec.swap_mib, files.run_disk, self.scratch, gdb)
            )
            command = guest_command(
                self.qemu,
                self.spec,
                start,
                files,
                channels.descriptors,
                device_tree=self.device_tree,
                dram_path=dram.path if dram else None,
            )
            confined = undo.enter_context(self._confined(start, files))
            if isinstance(start, ColdBoot):
                confined.give(start.saved.state)
                if dram is None:
                    confined.give(start.saved.dram)
            process = QemuProcess(
                command,
                channels,
                self.limits,
                confined=confined,
                dram=dram,
                environment=self._environment(dram),
            )
            undo.enter_context(process)
            if dram:
                tags_in_dram.verify(process, self.spec, dram)
            if isinstance(start, Restore):
                self._read_state(process, start.saved)
            if dram or isinstance(start, Restore):
                process.qmp("cont")
            undo.pop_all()
        return process

    def by_hand(self, files: GuestFiles) -> list[str]:
        """Return the command with which a person cold-boots the guest on a terminal.

        Where the tags lie in DRAM, that is a file without a name which the command makes itself.
        Whether QEMU put its tags there is not checked.
        """
        if self.library is None:
            return by_hand_command(self.qemu, self.spec, files)
        variables = tags_in_dram.environment(self.library, self.spec, BY_HAND_FD)
        command = by_hand_command(
            self.qemu,
            self.spec,
            files,
            device_tree=self.device_tree,
            dram_path=f"/proc/self/fd/{BY_HAND_FD}",
        )
        script = (
            f'f=$(mktemp) && exec {BY_HAND_FD}<>"$f" && rm "$f" && '
            f'truncate -s {self.spec.memory_mib}M /proc/self/fd/{BY_HAND_FD} && exec env "$@"'
        )
        words = [f"{name}={value}" for name, value in variables.items()]
        return ["sh", "-c", script, "sh", *words, *command]

    def save(self, process: QemuProcess, saved: SavedMachine) -> None:
        """Stop a cold-booted guest and write it to ``saved``.

        Raise DiskFullError without room, and HarnessError if QEMU does not write it all the same.
        """
        process.qmp("stop")
        _leave_out_dram(process)
        process.qmp("migrate", uri=f"file:{process.confined.name(str(saved.state))}")
        deadline = Deadline.after(self.limits.migrate)
        while True:
            info = cast("dict[str, object]", process.qmp("query-migrate"))
            if info.get("status") == "completed":
                break
            if info.get("status") == "failed" or deadline.passed():
                raise _not_saved(str(info.get("error-desc", info.get("status"))), saved)
            time.sleep(0.005)
        process.confined.take(saved.state)
        if process.dram:
            process.dram.save(saved.dram)
        else:
            process.confined.take(saved.dram)

    def _confined(self, start: ColdBoot | Restore, files: GuestFiles) -> Confined:
        read = (start.saved.dram, start.saved.state) if isinstance(start, Restore) else ()
        named = (self.library, self.device_tree, files.initramfs)
        return Confined(
            self.scratch,
            (
                self.qemu.path,
                files.image,
                files.root_disk,
                start.saved.directory,
                *read,
                *filter(None, named),
            ),
        )

    def _new_dram(self) -> Dram:
        return Dram.create(self.spec.memory, self.spec.tags, self.scratch, self.progress)

    def _environment(self, dram: Dram | None) -> dict[str, str]:
        if dram is None or self.library is None:
            return {}
        return tags_in_dram.environment(self.library, self.spec, dram.fd)

    def _read_state(self, process: QemuProcess, saved: SavedMachine) -> None:
        _leave_out_dram(process)
        process.qmp("migrate-incoming", uri=f"file:{process.confined.name(str(saved.state))}")
        if not process.wait_status("paused", Deadline.after(self.limits.migrate)):
            entry = saved.directory
            raise QemuDiedError(
                f"QEMU does not take the saved guest (state {process.status()})",
                f"mte-harness clean {entry.parent.name}/{entry.name}",
                process.describe(),
            )


def _not_saved(said: str, saved: SavedMachine) -> HarnessError:
    """Return the error for a guest that QEMU did not save, by what it ``said``."""
    cause = f"the guest could not be saved: {said}"
    if reports_disk_full(said) or shutil.disk_usage(saved.directory).free < NO_ROOM:
        return DiskFullError(cause, CURE)
    return HarnessError(cause, "run it again")


def _leave_out_dram(process: QemuProcess) -> None:
    capability = {"capability": "x-ignore-shared", "state": True}
    process.qmp("migrate-set-capabilities", capabilities=[capability])


def prepare_machine(
    spec: MachineSpec,
    qemu: Qemu,
    programs: Store,
    device_trees: Store,
    scratch: Path,
    limits: Limits,
    progress: Progress,
) -> VirtualMachine:
    """Return the machine with the files that it needs beside QEMU, made if need be.

    Raise MachineError for a layout of tags that DRAM cannot have.
    """
    library = tree = None
    if spec.tags:
        check_geometry(spec.tags, spec.memory)
        library = tags_in_dram.build_library(programs)
        tree = obtain_device_tree(device_trees, qemu, spec, limits)
    return VirtualMachine(spec, qemu, library, tree, scratch, progress, limits)
