# SPDX-License-Identifier: MIT
"""The steps in their order, on one cache: kernel, emulator check, image, template, clone."""

from __future__ import annotations

import functools
import shutil
from typing import TYPE_CHECKING

from harness.core.errors import BaseGoneError, UsageError
from harness.core.limits import Limits
from harness.core.paths import make_cache
from harness.core.store import Store
from harness.guest.board import NOTHING_ALLOWED, Board, BoardOptions
from harness.guest.guest import Guest
from harness.guest.kernel_needs import require_needs, require_page_size
from harness.guest.root_image import GuestImage, obtain_image
from harness.guest.template import Template, obtain_template
from harness.guest.visit import Visit
from harness.kernel import BoardKernel, Kernel, KernelSource, obtain_kernel, obtain_selftests
from harness.suite.precondition_record import FILE, PreconditionRecord
from harness.suite.target import guest_kernel
from harness.vm.descriptors import require_descriptors
from harness.vm.emulator_check import EmulatorCheck, check_emulator
from harness.vm.loopback import require_loopback
from harness.vm.packaged_qemu import RELEASES, obtain_qemu
from harness.vm.qemu import Qemu, find_qemu, require_version
from harness.vm.qemu_args import GuestFiles
from harness.vm.run_disk import RunKeys
from harness.vm.virtual_machine import VirtualMachine, prepare_machine

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.guest.system import System
    from harness.guest.testbed import Testbed
    from harness.suite.target import Target
    from harness.vm.spec import MachineSpec


class Session:
    """One run of the harness: a cache, a QEMU, and the key pairs of this run."""

    def __init__(
        self,
        cache: Path,
        progress: Progress,
        qemu_binary: str | None = None,
        limits: Limits = Limits(),
        board_options: BoardOptions = NOTHING_ALLOWED,
    ) -> None:
        require_descriptors()
        make_cache(cache)
        self.cache = cache
        self.progress = progress
        self.limits = limits
        self.programs = Store(cache, "programs", progress)
        self.preconditions = PreconditionRecord(cache / FILE)
        self.qemu_binary = qemu_binary
        self._machines: dict[MachineSpec, VirtualMachine] = {}
        self._checked: dict[MachineSpec, EmulatorCheck] = {}
        self._templates: dict[str, Template] = {}
        self._prepared: dict[tuple[Target, str], Template] = {}
        self._board_options = board_options
        self._boards: dict[BoardKernel, Board] = {}
        self._gone: dict[KernelSource, BaseGoneError] = {}
        self._keys = RunKeys.generate()

    @functools.cached_property
    def qemu(self) -> Qemu:
        """Return the QEMU of this run. Raise QemuMissingError when there is none.

        Where a release was asked for, and no path, it is fetched if need be.
        """
        chosen = self.qemu_binary
        if chosen in RELEASES:
            chosen = str(obtain_qemu(chosen, self.cache, self.progress))
        return find_qemu(chosen, self.limits.host_tool)

    def kernel(self, source: KernelSource) -> Kernel:
        """Return the kernel of ``source``; it is built if the cache does not have it.

        A base that is gone stays so for this run: its places are asked once, not for each test.
        """
        if source not in self._gone:
            try:
                return obtain_kernel(source, self.cache, self.progress)
            except BaseGoneError as error:
                self._gone[source] = error
        raise self._gone[source]

    def selftests(self, kernel: Kernel) -> Path:
        """Return the directory with the kernel's own selftests. Raise SourceError without one."""
        return obtain_selftests(kernel, self.cache, self.progress)

    def check(self, spec: MachineSpec) -> None:
        """Run the emulator check. Raise QemuCheckError, QemuTooOldError or HarnessError."""
        require_loopback()
        machine = self.machine(spec)
        # Tags before the version: a tag failure is the more specific error.
        checked = self._checked[spec] = check_emulator(machine, self.programs)
        if machine.slowness < checked.slowness:
            self._machines[spec] = machine.on_slow_host(checked.slowness)
            self.progress.step(
                f"this host runs guests slowly: time limits are {checked.slowness} times as long"
            )
        require_version(self.qemu)

    def cpu_features(self, spec: MachineSpec) -> frozenset[str]:
        """Return the MTE features of the machine's CPU that came after FEAT_MTE3."""
        if spec not in self._checked:
            self.check(spec)
        return self._checked[spec].features

    def machine(self, spec: MachineSpec) -> VirtualMachine:
        """Return the machine, ready to be launched. Raise MachineError for an invalid layout."""
        if spec not in self._machines:
            trees = Store(self.cache, "device-trees", self.progress)
            self._machines[spec] = prepare_machine(
                spec, self.qemu, self.programs, trees, self.cache, self.limits, self.progress
            )
        return self._machines[spec]

    @functools.cached_property
    def image(self) -> GuestImage:
        """Return the guest's root image."""
        store = Store(self.cache, "images", self.progress)
        return obtain_image(store, self.programs, self.cache / "downloads", self.progress)

    def template(self, kernel: Kernel, spec: MachineSpec, append: str = "") -> Template:
        """Return the saved guest of ``kernel``. Raise BootError when the kernel does not boot.

        Raise ImageError or UsageError for a kernel that cannot run a guest of this machine.
        """
        _require_testable(kernel, spec)
        store = Store(self.cache, "templates", self.progress)
        template = obtain_template(store, self.machine(spec), kernel, self.image, append)
        # One object for each saved guest: it keeps what the auditor learned about the kernel.
        return self._templates.setdefault(template.key, template)

    def guest(self, template: Template, gdb: Path | None = None) -> Guest:
        """Return a fresh clone; ``gdb`` is the socket where a debugger may attach."""
        return Guest(template, self._keys, gdb)

    def board(self, source: BoardKernel) -> Board:
        """Return the board, reached once in this run. Raise BoardUnreachableError and its kin."""
        if source not in self._boards:
            stores = (self.programs, Store(self.cache, "boards", self.progress))
            self._boards[source] = Board(
                source, self._board_options, self.limits, stores, self.progress
            )
        return self._boards[source]

    def kernel_of(self, target: Target) -> Kernel:
        """Return the kernel of a target: built, or the one that runs on a board."""
        if isinstance(target.kernel, BoardKernel):
            return self.board(target.kernel).kernel
        return self.kernel(target.kernel)

    def testbed(self, target: Target) -> Testbed:
        """Return what programs of a target run on: a template, or a board."""
        if isinstance(target.kernel, BoardKernel):
            return self.board(target.kernel)
        return self.prepare(target)

    def system(self, testbed: Testbed) -> System:
        """Return a fresh clone of a template, or a visit to a board."""
        return Visit(testbed) if isinstance(testbed, Board) else self.guest(testbed)

    def by_hand(self, target: Target) -> list[str]:
        """Return the command with which a person boots a target on a terminal.

        Kernel, image and device tree are made if need be; no guest is started.
        """
        kernel = self.kernel(guest_kernel(target))
        _require_testable(kernel, target.spec)
        files = GuestFiles(kernel.image, self.image.disk, b"", target.append, kernel.initramfs)
        return self.machine(target.spec).by_hand(files)

    def prepare(self, target: Target, append: str = "") -> Template:
        """Return the template of a target after all steps, each done once in this run.

        ``append``: more words for the kernel's command line, after the target's.
        """
        source = guest_kernel(target)
        append = f"{target.append} {append}".strip()
        key = (target, append)
        if key not in self._prepared:
            self.check(target.spec)
            kernel = self.kernel(source)
            self._prepared[key] = self.template(kernel, target.spec, append)
        return self._prepared[key]


def _require_testable(kernel: Kernel, spec: MachineSpec) -> None:
    """Raise ImageError or UsageError for a kernel that cannot run a guest of a machine."""
    require_needs(kernel)
    require_page_size(kernel, spec)


def clean(cache: Path, what: str | None) -> tuple[Path, ...]:
    """Remove the cache, or ``what`` of it (``templates``, ``builds/KEY``); return what went."""
    if what is None:
        targets = sorted(cache.glob("*"))
    else:
        target = (cache / what).resolve()
        if cache.resolve() not in target.parents:
            raise UsageError(f"{what!r} is not below the cache {cache}")
        targets = [target] if target.exists() else []
    for target in targets:
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()
    return tuple(targets)
