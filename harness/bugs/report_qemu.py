# SPDX-License-Identifier: MIT
"""What of a report's QEMU command line matters to a bug: CPUs, memory, and kernel parameters."""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import TYPE_CHECKING

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.vm.spec import MachineSpec

MOST_CPUS = 8  # of the GIC that QEMU's virt has with our -machine, and of use on a host
_SIZE = re.compile(r"(?:size=)?(?P<number>\d+)(?P<unit>[MmGg]?)(?:i?[Bb])?(?:,.*)?")
# The kernel splits its command line at blanks outside of double quotes (lib/cmdline.c, next_arg()).
_PARAMETER = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
# Parameters that name the reporter's own disks, console and login.
_OWN_PARAMETERS = re.compile(
    r"(?:root|rootfstype|rootflags|console|earlycon|earlyprintk|init|rdinit|ip|nfsroot|resume)=|"
    r"(?:net|systemd)\.|(?:rw|ro|quiet|rootwait|earlycon)$"
)


@dataclasses.dataclass(frozen=True)
class ReportedMachine:
    """A machine as a report has it: ``spec``, more kernel parameters, and what is left out."""

    spec: MachineSpec
    append: str
    left_out: tuple[str, ...]


def reported_machine(line: str, spec: MachineSpec) -> ReportedMachine:
    """Return ``spec`` with the CPUs and memory of a QEMU command line, and its -append.

    ``line`` may begin with the name of QEMU. Raise UsageError for a line that cannot be read.
    """
    try:
        words = shlex.split(line.replace("\\\n", " "))
    except ValueError as error:
        raise UsageError(f"--qemu-line: {error}", "quote it whole, as in the report") from error
    append: list[str] = []
    left_out: list[str] = []
    for option, value in _options(words):
        if option == "smp":
            spec = dataclasses.replace(spec, cpus=_cpus(value))
        elif option == "m":
            spec = dataclasses.replace(spec, memory_mib=_mib(value))
        elif option == "append":
            for word in _PARAMETER.findall(value):
                (left_out if _OWN_PARAMETERS.match(word) else append).append(word)
        else:
            left_out.append(f"-{option} {value}".strip())
    changed = f"{spec.name}, {spec.cpus} CPUs, {spec.memory_mib} MiB"
    spec = dataclasses.replace(spec, description=f"{spec.description}; of a report: {changed}")
    return ReportedMachine(spec, " ".join(append), tuple(left_out))


def _options(words: list[str]) -> list[tuple[str, str]]:
    """Return the options of a command line with their values, "" for those that have none.

    Words that belong to none are left out: QEMU's own name, a redirection.
    """
    found: list[tuple[str, str]] = []
    for word in words:
        if word.startswith("-"):
            found.append((word.lstrip("-"), ""))
        elif found and not found[-1][1]:
            found[-1] = (found[-1][0], word)
    return found


def _cpus(value: str) -> int:
    found = re.match(r"(?:cpus=)?(\d+)", value)
    if not found or not 1 <= int(found[1]) <= MOST_CPUS:
        raise UsageError(f"--qemu-line: -smp {value}: give 1 to {MOST_CPUS} CPUs")
    return int(found[1])


def _mib(value: str) -> int:
    found = _SIZE.fullmatch(value)
    if not found:
        raise UsageError(f"--qemu-line: -m {value} is no size", "such as 2G")
    mib = int(found["number"]) << (10 if found["unit"] in ("g", "G") else 0)
    if not 256 <= mib <= 16384:
        raise UsageError(f"--qemu-line: -m {value}: give 256M to 16G")
    return mib
