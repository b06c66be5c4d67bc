# SPDX-License-Identifier: MIT
"""The emulator check: does this QEMU keep one tag for each granule, where the machine has it?

A bare-metal program (``guest/emulator-check``) answers, with no kernel in between, so
that a wrong answer is the emulator's. The check takes less than a second and therefore runs
before every verdict instead of being remembered. It also does a fixed amount of work, whose CPU
time says how fast this host runs guests now.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core import ktap
from harness.core.cross import BARE_FLAGS, compile_program
from harness.core.errors import QemuCheckError, QemuDiedError
from harness.core.host_trouble import KILLED_CURE, reported_cure
from harness.core.paths import resources
from harness.vm import tags_in_dram
from harness.vm.confined import NO_SECCOMP, Confined
from harness.vm.dram import Dram
from harness.vm.geometry import PAGE, TAGS
from harness.vm.qemu import CURE
from harness.vm.qemu_args import bare_command

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.store import Store
    from harness.vm.virtual_machine import VirtualMachine

SOURCE = resources() / "guest" / "emulator-check"
# left[] and found[] of check.c: the page frames whose tags the program sets and leaves for
# the host to compare, and those whose tags the host sets and the program prints.
LEFT = tuple(address // PAGE for address in (0x4C000000, 0x55000000, 0x7E000000))
FOUND = tuple(address // PAGE for address in (0x4C200000, 0x55200000, 0x7E200000))


_PFR2 = re.compile(r"^# ID_AA64PFR2_EL1: 0x([0-9a-f]+)$", re.MULTILINE)
# Fields of ID_AA64PFR2_EL1 (arch/arm64/tools/sysreg of Linux 7.3): shift -> the name of the
# feature in /proc/cpuinfo.
_FEATURES = {8: "mtefar", 4: "mtestoreonly"}


# CPU seconds of the check up to which the time limits are as they are written. Where they were
# chosen (2 x Xeon, docs/figures.md) it takes 0.35 to 0.5 s; they leave a factor of three there.
REFERENCE_SECONDS = 0.5


@dataclass(frozen=True)
class EmulatorCheck:
    """The program's results, and the MTE features of the CPU beyond FEAT_MTE3, as it reads them.

    ``features`` are named as in /proc/cpuinfo, where a kernel may hide one that the CPU has.
    ``seconds`` is the CPU time of QEMU.
    """

    document: ktap.Document
    features: frozenset[str]
    seconds: float

    @property
    def slowness(self) -> int:
        """How many times as long as its limits say a guest may take on this host, at least 1."""
        return max(1, round(self.seconds / REFERENCE_SECONDS))


def build_check(programs: Store) -> Path:
    """Return the bare-metal program, an ELF file that ``-kernel`` takes."""
    script = SOURCE / "link.ld"
    sources = [SOURCE / "check.c", SOURCE / "start.S"]
    return compile_program(programs, sources, (*BARE_FLAGS, "-T", str(script)))


def check_emulator(machine: VirtualMachine, programs: Store) -> EmulatorCheck:
    """Run the check on the machine's QEMU, CPU and memory, and return what it found.

    Where tags lie in DRAM, the host also compares the tags that the program set, and the
    program those that the host wrote. Raise QemuCheckError on any wrong answer.
    """
    qemu, spec = machine.qemu, machine.spec
    with contextlib.ExitStack() as stack:
        dram: Dram | None = None
        environment: dict[str, str] = {}
        if machine.library:
            dram = stack.enter_context(
                Dram.create(spec.memory, spec.tags, machine.scratch, machine.progress)
            )
            environment = tags_in_dram.environment(machine.library, spec, dram.fd)
            _write_tags(dram)
        program = build_check(programs)
        command = bare_command(qemu, spec, program, dram.path if dram else None)
        opened = filter(None, (qemu.path, program, machine.library))
        confined = stack.enter_context(Confined(machine.scratch, opened))
        before = _children_seconds()
        output, errors, status = _run(
            confined.command(command),
            confined.environment(environment),
            (*confined.descriptors(), *((dram.fd,) if dram else ())),
            machine.limits.emulator_check,
        )
        seconds = _children_seconds() - before
        cure = reported_cure(errors) if status else None
        if status < 0 or cure:
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise QemuDiedError(
                f"QEMU ended during the emulator check with {how}: {errors.strip()[-200:]}",
                cure or KILLED_CURE,
                shlex.join(command),
            )
        if NO_SECCOMP in errors:
            raise QemuCheckError(
                f"{qemu.banner} ({qemu.path}) was built without seccomp, which keeps a guest from "
                "harming this host",
                CURE,
                errors,
            )
        document = ktap.parse(output)
        wrong = [r.name for r in document.results if r.outcome is not ktap.Outcome.PASS]
        wrong += document.problems or (() if document.results else ("no result",))
        if dram and not wrong:
            wrong += _compare_tags(dram, output)
    if wrong:
        raise QemuCheckError(
            f"{qemu.banner} ({qemu.path}) fails the emulator check: {wrong[0]}"
            f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}; "
            "a verdict on it would be worthless",
            CURE,
            f"{shlex.join(command)}\n{output}{errors}",
        )
    return EmulatorCheck(document, _features(output), seconds)


def _children_seconds() -> float:
    """Return the CPU seconds of all children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _features(output: str) -> frozenset[str]:
    found = _PFR2.search(output)
    register = int(found[1], 16) if found else 0
    return frozenset(name for shift, name in _FEATURES.items() if register >> shift & 15)


def _run(
    command: list[str], environment: dict[str, str], descriptors: tuple[int, ...], seconds: float
) -> tuple[str, str, int]:
    """Return the program's output, QEMU's messages and its exit status, 0 without an end."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **environment},
            pass_fds=descriptors,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode("utf-8", "replace")
        return said, f"no end within {seconds:.0f} s", 0
    said, errors = (stream.decode("utf-8", "replace") for stream in (result.stdout, result.stderr))
    return said, errors, result.returncode


def _write_tags(dram: Dram) -> None:
    for place, pfn in enumerate(FOUND):
        tags = _found_tags(place)
        packed = bytes(a | b << 4 for a, b in zip(tags[::2], tags[1::2], strict=True))
        dram.write(dram.storage_address(pfn), packed)


def _compare_tags(dram: Dram, output: str) -> list[str]:
    """Return what is wrong with the tags in DRAM after the program has ended."""
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
    """Return the tags that the host sets at ``FOUND[place]``, as expected by check.c."""
    return bytes((i * 5 + (i >> 4) + place) & 15 for i in range(TAGS))
