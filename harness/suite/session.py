# SPDX-License-Identifier: MIT
"""The steps in their order, on one cache: kernel, emulator check, image, template, clone."""

from __future__ import annotations

import functools
import shutil
from typing import TYPE_CHECKING

from harness.core.errors import ImageError, UsageError
from harness.core.limits import Limits
from harness.core.paths import repository_root
from harness.core.store import Store
from harness.guest.guest import Guest
from harness.guest.root_image import GuestImage, obtain_image
from harness.guest.template import Template, obtain_template
from harness.kernel import Kernel, resolve
from harness.vm.emulator_check import check_emulator
from harness.vm.qemu import Qemu, find_qemu, require_version
from harness.vm.run_disk import RunKeys
from harness.vm.virtual_machine import VirtualMachine, prepare_machine

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress
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
    ) -> None:
        self.cache = cache
        self.limits = limits
        self.progress = progress
        self.programs = Store(cache, "programs", progress)
        self._qemu_binary = qemu_binary
        self._machines: dict[MachineSpec, VirtualMachine] = {}
        self._templates: dict[str, Template] = {}
        self._keys = RunKeys.generate()

    @functools.cached_property
    def qemu(self) -> Qemu:
        """The QEMU of this run. QemuMissingError when there is none."""
        return find_qemu(self._qemu_binary)

    def kernel(self, argument: str) -> Kernel:
        """The kernel that ``argument`` names, built if need be."""
        return resolve(argument, root=repository_root(), cache=self.cache, progress=self.progress)

    def check(self, spec: MachineSpec) -> None:
        """The emulator check; raises QemuCheckError or QemuTooOldError."""
        # First what is wrong with the tags: it is the better reason.
        check_emulator(self.machine(spec), self.programs)
        require_version(self.qemu)

    def machine(self, spec: MachineSpec) -> VirtualMachine:
        """The machine, made ready. MachineError for one that cannot be."""
        if spec not in self._machines:
            trees = Store(self.cache, "device-trees", self.progress)
            self._machines[spec] = prepare_machine(
                spec, self.qemu, self.programs, trees, self.cache, self.limits, self.progress
            )
        return self._machines[spec]

    @functools.cached_property
    def image(self) -> GuestImage:
        """The guest image."""
        store = Store(self.cache, "images", self.progress)
        return obtain_image(store, self.programs, self.cache / "downloads", self.progress)

    def template(self, kernel: Kernel, spec: MachineSpec, append: str = "") -> Template:
        """The booted and saved guest of ``kernel``. BootError when it does not come up."""
        if kernel.built_with("CONFIG_ARM64_MTE") is False:
            raise ImageError(
                f"kernel {kernel.name} has no MTE", "set CONFIG_ARM64_MTE=y and build it again"
            )
        store = Store(self.cache, "templates", self.progress)
        template = obtain_template(store, self.machine(spec), kernel, self.image, append)
        # One object for each saved guest: it keeps what was learned about the kernel.
        return self._templates.setdefault(template.key, template)

    def guest(self, template: Template) -> Guest:
        """A fresh clone."""
        return Guest(template, self._keys)

    def prepare(self, target: Target) -> Template:
        """All steps up to the template."""
        self.check(target.machine)
        return self.template(self.kernel(target.kernel), target.machine)


def clean(cache: Path, what: str | None) -> tuple[Path, ...]:
    """Removes the cache, or ``what`` of it (``templates``, ``builds/KEY``); returns what went."""
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
