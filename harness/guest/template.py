# SPDX-License-Identifier: MIT
"""A guest booted once, stopped and saved; then cloned for each test.

QEMU's documented VM templating (docs/system/vm-templating.rst): the template's
DRAM is a shared file and is left out of the saved state (``x-ignore-shared``);
a clone maps that file privately and reads the state, which takes about 0.1 s.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from harness.core.deadline import Deadline
from harness.core.errors import BootError, DiskFullError, QemuDiedError
from harness.vm.qemu_args import Memory
from harness.vm.run_disk import RunKeys

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.core.store import Store
    from harness.guest.root_image import GuestImage
    from harness.kernel import Kernel
    from harness.vm.process import QemuProcess
    from harness.vm.spec import MachineSpec
    from harness.vm.virtual_machine import Board

# Changes when what is saved, or how, changes.
FORMAT = 1
BOOT_SECONDS = 120.0

# What the console shows, in order; the last one seen is the phase a boot got to.
PHASES = (
    (r"", "QEMU started, no output from the kernel"),
    (r"Booting Linux|Linux version", "early kernel"),
    (r"Run /init as init process", "kernel up, init started"),
    (r"mte-harness: init", "init running"),
    (r"mte-harness: ready", "ready"),
)


@dataclass(frozen=True)
class Template:
    """A saved guest: ``ram`` (DRAM, sparse), ``state`` (devices, tags), and how it was made.

    ``boot_seconds``: power-on to the ready line. ``taint``: the kernel's taint
    bits then, as far as the console told. ``console``: the boot's console text.
    """

    key: str
    directory: Path
    board: Board
    kernel: Kernel
    image: GuestImage
    append: str
    boot_seconds: float

    @property
    def spec(self) -> MachineSpec:
        """The machine."""
        return self.board.spec

    @property
    def console(self) -> str:
        """The console text of the template's boot."""
        return (self.directory / "console.log").read_text(errors="replace")

    def start(self, keys: RunKeys, progress: Progress) -> QemuProcess:
        """A clone, running. QemuDiedError when QEMU refuses the saved state."""
        process = self.board.start(
            self.kernel,
            self.image,
            keys.disk(),
            Memory(self.directory / "ram", shared=False),
            self.directory.parent,
            progress,
            self.append,
        )
        try:
            _ignore_shared(process)
            process.qmp("migrate-incoming", uri=f"file:{self.directory / 'state'}")
            if not process.wait_status("paused", Deadline.after(60)):
                raise QemuDiedError(
                    f"QEMU does not take the saved guest (state {process.status()})",
                    f"mte-harness clean templates/{self.key}",
                    process.describe(),
                )
            process.qmp("cont")
        except BaseException:
            process.close()
            raise
        return process


def _ignore_shared(process: QemuProcess) -> None:
    process.qmp(
        "migrate-set-capabilities",
        capabilities=[{"capability": "x-ignore-shared", "state": True}],
    )


def boot_phase(console: str) -> str:
    """The furthest of ``PHASES`` that the console text shows."""
    reached = PHASES[0][1]
    for pattern, name in PHASES[1:]:
        if re.search(pattern, console):
            reached = name
    return reached


def _boot_failure(process: QemuProcess, kernel: Kernel, what: str) -> BootError:
    text = process.console.text()
    return BootError(
        f"kernel {kernel.name} did not come up: {what}; phase reached: {boot_phase(text)}",
        details="\n".join(
            [
                "console, last 60 lines:",
                process.console.tail(60) or "(nothing)",
                "registers:",
                process.registers() if process.running() else "(QEMU has ended)",
                process.describe(),
            ]
        ),
    )


def wait_ready(process: QemuProcess, kernel: Kernel, seconds: float) -> None:
    """Waits for the agent's ready line. BootError with phase, console and registers."""
    deadline = Deadline.after(seconds)
    while not process.console.wait_for(r"mte-harness: ready", Deadline.after(0.25)):
        if not process.running():
            raise _boot_failure(process, kernel, "QEMU ended")
        text = process.console.text()
        if "mte-harness: failed" in text:
            line = next(x for x in text.splitlines() if "mte-harness: failed" in x)
            raise _boot_failure(process, kernel, line.split("mte-harness: ")[1])
        if process.status() == "shutdown":
            panic = re.search(r"Kernel panic - not syncing: .*", text)
            raise _boot_failure(process, kernel, panic[0] if panic else "it reset the machine")
        if deadline.passed():
            raise _boot_failure(process, kernel, f"silent for {seconds:.0f} s (hang)")


def template_key(board: Board, kernel: Kernel, image: GuestImage, append: str) -> str:
    """Sixteen hex digits over all that the saved guest depends on."""
    qemu, tree = board.qemu, board.device_tree
    told = tree.read_bytes() if tree else b""
    machine = (qemu.identity, qemu.banner, board.spec.key(), told)
    words = (FORMAT, *machine, kernel.key, image.key, append)
    return hashlib.sha256(repr(words).encode()).hexdigest()[:16]


def _save(process: QemuProcess, state: Path) -> None:
    process.qmp("stop")
    _ignore_shared(process)
    process.qmp("migrate", uri=f"file:{state}")
    deadline = Deadline.after(60)
    while True:
        info = cast("dict[str, object]", process.qmp("query-migrate"))
        if info.get("status") == "completed":
            return
        if info.get("status") == "failed" or deadline.passed():
            raise DiskFullError(
                f"the guest could not be saved: {info.get('error-desc', info.get('status'))}",
                f"room is needed under {state.parent}",
            )
        time.sleep(0.005)


def obtain_template(
    store: Store,
    board: Board,
    kernel: Kernel,
    image: GuestImage,
    progress: Progress,
    append: str = "",
) -> Template:
    """The template of this kernel on this machine, booted and saved if it is not there yet."""
    spec = board.spec
    key = template_key(board, kernel, image, append)

    def make(directory: Path) -> None:
        progress.step(f"booting {kernel.name} on {spec.name}")
        room = shutil.disk_usage(directory).free
        if room < spec.memory_mib * 1024 * 1024 // 2:
            raise DiskFullError(
                f"{room >> 20} MiB free under {directory.parent}: no room for a saved guest",
                "mte-harness clean, or set MTE_HARNESS_CACHE to a larger disk",
            )
        started = time.monotonic()
        with board.start(
            kernel,
            image,
            RunKeys.generate().disk(),
            Memory(directory / "ram", shared=True),
            directory.parent,
            progress,
            append,
        ) as process:
            wait_ready(process, kernel, BOOT_SECONDS)
            seconds = time.monotonic() - started
            _save(process, directory / "state")
            if process.ram:
                process.ram.save(directory / "ram")
            (directory / "console.log").write_text(process.console.text())
        (directory / "meta.json").write_text(
            json.dumps({"boot_seconds": seconds, "kernel": kernel.name, "qemu": board.qemu.banner})
        )

    directory = store.obtain(key, make)
    meta = json.loads((directory / "meta.json").read_text())
    return Template(key, directory, board, kernel, image, append, meta["boot_seconds"])
