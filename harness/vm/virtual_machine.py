# SPDX-License-Identifier: MIT
"""A machine with the files that it needs beside QEMU, and the start of a QEMU on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.vm import tags_in_dram as tagram
from harness.vm.device_tree import obtain_device_tree
from harness.vm.dram import Ram
from harness.vm.geometry import check_geometry
from harness.vm.process import QemuProcess
from harness.vm.qemu_args import Memory, guest_command

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.core.store import Store
    from harness.guest.root_image import GuestImage
    from harness.kernel import Kernel
    from harness.vm.qemu import Qemu
    from harness.vm.spec import MachineSpec


@dataclass(frozen=True)
class Board:
    """``spec`` on ``qemu``; ``library`` and ``device_tree`` are there if its tags are in DRAM."""

    spec: MachineSpec
    qemu: Qemu
    library: Path | None
    device_tree: Path | None

    def start(
        self,
        kernel: Kernel,
        image: GuestImage,
        run_disk: bytes,
        memory: Memory,
        scratch: Path,
        progress: Progress,
        append: str = "",
    ) -> QemuProcess:
        """QEMU, running, or waiting for its state if ``memory`` is a saved guest's.

        DRAM is ``memory`` itself where the tags are outside. Otherwise it is a file without
        a name that begins as a copy of a saved guest's: its tags are in it, so that it can
        be no private mapping.
        """
        ram = Ram.create(self.spec.memory, scratch, progress) if self.library else None
        try:
            if ram and not memory.shared:
                ram.load(memory.path)
            process = QemuProcess(
                lambda descriptors: guest_command(
                    self.qemu,
                    self.spec,
                    image=kernel.image,
                    disk=image.disk,
                    memory=Memory(Path(ram.path), shared=True) if ram else memory,
                    descriptors=descriptors,
                    append=append,
                    device_tree=self.device_tree,
                    incoming=not memory.shared,
                    stopped=ram is not None and memory.shared,
                ),
                swap_mib=self.spec.swap_mib,
                run_disk=run_disk,
                scratch=scratch,
                ram=ram,
                environment=(
                    tagram.environment(self.library, self.spec, ram) if ram and self.library else {}
                ),
            )
        except BaseException:
            if ram:
                ram.close()
            raise
        try:
            if ram:
                tagram.verify(process, self.spec, ram)
                if memory.shared:
                    process.qmp("cont")
        except BaseException:
            process.close()
            raise
        return process


def obtain_board(spec: MachineSpec, qemu: Qemu, programs: Store, device_trees: Store) -> Board:
    """The machine, made ready. MachineError, in words, for one that cannot be."""
    if not spec.tags:
        return Board(spec, qemu, None, None)
    check_geometry(spec.tags, spec.memory)
    library = tagram.build_library(programs)
    return Board(spec, qemu, library, obtain_device_tree(device_trees, qemu, spec))
