# SPDX-License-Identifier: MIT
"""The emulator check: does this QEMU keep one tag for each granule, where the machine has it?

A bare-metal program (``guest/emulator-check``) answers, with no kernel in
between, so that a wrong answer is the emulator's. It takes 0.2 s and therefore
runs before every verdict instead of being remembered.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core import ktap
from harness.core.cross import BARE_FLAGS, compile_program
from harness.core.errors import QemuCheckError
from harness.core.paths import resources
from harness.vm import tags_in_dram as tagram
from harness.vm.dram import Ram
from harness.vm.dram_view import Dram
from harness.vm.geometry import PAGE, TAGS
from harness.vm.qemu import CURE
from harness.vm.qemu_args import Memory, memory_backend

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.core.store import Store
    from harness.vm.virtual_machine import Board

SOURCE = resources() / "guest" / "emulator-check"
SECONDS = 60
# left[] and found[] of check.c: the page frames that it tags, and that it looks at.
LEFT = tuple(address // PAGE for address in (0x4C000000, 0x55000000, 0x7E000000))
FOUND = tuple(address // PAGE for address in (0x4C200000, 0x55200000, 0x7E200000))


def build_check(programs: Store) -> Path:
    """The bare-metal program, as an ELF file that ``-kernel`` takes."""
    script = SOURCE / "link.ld"
    sources = [SOURCE / "check.c", SOURCE / "start.S"]
    return compile_program(programs, sources, (*BARE_FLAGS, "-T", str(script)))


def check_emulator(
    board: Board, programs: Store, scratch: Path, progress: Progress
) -> ktap.Document:
    """Proves that the board's QEMU plays MTE right on its CPU and memory, or QemuCheckError.

    Where tags live in DRAM, also that the host finds there the tags that the program
    set, and the program those that the host wrote.
    """
    qemu, spec = board.qemu, board.spec
    with contextlib.ExitStack() as stack:
        ram, dram, environment = None, None, {}
        if board.library:
            ram = stack.enter_context(Ram.create(spec.memory, scratch, progress))
            dram = Dram(ram, spec.tags)
            environment = tagram.environment(board.library, spec, ram)
            for place, pfn in enumerate(FOUND):
                tags = _found_tags(place)
                packed = bytes(a | b << 4 for a, b in zip(tags[::2], tags[1::2], strict=True))
                dram.write(dram.storage_address(pfn), packed)
        command = [
            str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none",
            "-cpu", spec.cpu, "-m", f"{spec.memory_mib}M",
            "-kernel", str(build_check(programs)), "-serial", "stdio",
        ]  # fmt: skip
        if ram:
            command += ["-machine", f"{spec.machine},memory-backend=dram"]
            command += memory_backend(spec, Memory(Path(ram.path), shared=True))
        else:
            command += ["-machine", spec.machine]
        output, said = _run(command, environment, (ram.fd,) if ram else ())
        document = ktap.parse(output)
        wrong = [r.name for r in document.results if r.outcome is not ktap.Outcome.PASS]
        wrong += document.problems or (() if document.results else ("no result",))
        if dram and not wrong:
            wrong += _host_view(dram, output)
    if wrong:
        raise QemuCheckError(
            f"{qemu.banner} ({qemu.path}) fails the emulator check: {wrong[0]}"
            f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}; "
            "a verdict on it would be worthless",
            CURE,
            f"{shlex.join(command)}\n{output}{said}",
        )
    return document


def _run(
    command: list[str], environment: dict[str, str], descriptors: tuple[int, ...]
) -> tuple[str, str]:
    """What the program printed, and what QEMU said."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, **environment},
            pass_fds=descriptors,
        )
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"").decode("utf-8", "replace"), f"no end within {SECONDS} s"
    return result.stdout.decode("utf-8", "replace"), result.stderr.decode("utf-8", "replace")


def _host_view(dram: Dram, output: str) -> list[str]:
    """What is wrong with the tags in DRAM, once the program has ended."""
    wrong = []
    for place, pfn in enumerate(LEFT):
        if dram.tags(pfn) != bytes((i * 7 + place) & 15 for i in range(TAGS)):
            where = dram.storage_address(pfn)
            wrong.append(f"tags that the guest set are not in DRAM at {where:#x}")
    for place, pfn in enumerate(FOUND):
        pattern = rf"^# tags found at {pfn * PAGE:#x}: ([0-9a-f]+)"
        match = re.search(pattern, output, re.MULTILINE)
        if match is None or bytes(int(x, 16) for x in match[1]) != _found_tags(place):
            where = dram.storage_address(pfn)
            wrong.append(
                f"bytes that the host wrote to DRAM at {where:#x} are no tags to the guest"
            )
    return wrong


def _found_tags(place: int) -> bytes:
    return bytes((i * 5 + (i >> 4) + place) & 15 for i in range(TAGS))
