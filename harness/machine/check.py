# SPDX-License-Identifier: MIT
"""The emulator check: does this QEMU keep one tag for each granule?

A bare-metal program (``guest/emulator-check``) answers, with no kernel in
between, so that a wrong answer is the emulator's. It takes 0.2 s and therefore
runs before every verdict instead of being remembered.
"""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from harness.errors import QemuCheckError
from harness.machine.qemu import CURE, Qemu
from harness.paths import repository_root
from harness.probe import ktap
from harness.probe.compile import BARE_FLAGS, compile_program

if TYPE_CHECKING:
    from pathlib import Path

    from harness.machine.spec import MachineSpec
    from harness.store import Store

SOURCE = repository_root() / "guest" / "emulator-check"
SECONDS = 60


def build_check(programs: Store) -> Path:
    """The bare-metal program, as an ELF file that ``-kernel`` takes."""
    script = SOURCE / "link.ld"
    sources = [SOURCE / "check.c", SOURCE / "start.S"]
    return compile_program(programs, sources, (*BARE_FLAGS, "-T", str(script)))


def check_emulator(qemu: Qemu, spec: MachineSpec, programs: Store) -> ktap.Document:
    """Proves that ``qemu`` plays MTE right on this machine's CPU, or raises QemuCheckError."""
    command = [
        str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", spec.machine, "-cpu", spec.cpu, "-m", "256M",
        "-kernel", str(build_check(programs)), "-serial", "stdio",
    ]  # fmt: skip
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        output = result.stdout.decode("utf-8", "replace")
        said = result.stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode("utf-8", "replace")
        said = f"no end within {SECONDS} s"
    document = ktap.parse(output)
    wrong = [r.name for r in document.results if r.outcome is not ktap.Outcome.PASS]
    if wrong or document.problems or not document.results:
        first = wrong[0] if wrong else (document.problems or ("no result",))[0]
        raise QemuCheckError(
            f"{qemu.banner} ({qemu.path}) fails the emulator check: {first}"
            f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}; "
            "a verdict on it would be worthless",
            CURE,
            f"{shlex.join(command)}\n{output}{said}",
        )
    return document
