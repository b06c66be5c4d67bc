# SPDX-License-Identifier: MIT
"""Tags in DRAM: the library that makes an unmodified QEMU keep them there, and its check.

``tags_in_dram.c`` answers one mmap() of QEMU's with the file that holds DRAM. Whether
that call was for the tag block, whole and alone, is checked from outside: QEMU's list of
RAM blocks and the host kernel's list of mappings must agree.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.cross import HOST_COMPILER, compile_program
from harness.core.errors import MachineError
from harness.vm.geometry import DRAM_BASE, RATIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.core.store import Store
    from harness.vm.dram import Dram
    from harness.vm.process import QemuProcess
    from harness.vm.spec import MachineSpec

SOURCE = Path(__file__).with_name("tags_in_dram.c")
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
BLOCK = "mach-virt.tag"
CURE = "report it, with the output of `info mtree` and QEMU's version"


def build_library(programs: Store) -> Path:
    """Return the library to preload into QEMU. Raise BuildError where it does not compile."""
    return compile_program(programs, [SOURCE], FLAGS, compiler=HOST_COMPILER)


def environment(library: Path, spec: MachineSpec, dram: int) -> dict[str, str]:
    """Return the variables that make QEMU keep its tags in the file whose descriptor is ``dram``.

    Raise MachineError for a path that LD_PRELOAD cannot hold: spaces and colons separate
    the libraries of its list (ld.so(8)).
    """
    if re.search(r"[\s:]", str(library)):
        raise MachineError(
            f"the cache's path has a space or a colon: {library}", "set MTE_HARNESS_CACHE"
        )
    parts = [f"{region.storage - DRAM_BASE}+{region.storage_size}" for region in spec.tags]
    return {"LD_PRELOAD": str(library), "MTE_TAGS_IN_DRAM": f"{dram}:{','.join(parts)}"}


@dataclass(frozen=True)
class _Mapping:
    """One line of /proc/PID/maps that belongs to DRAM's file."""

    start: int
    end: int
    offset: int


def _mappings(text: str, inode: tuple[int, int]) -> Iterator[_Mapping]:
    """Yield the shared mappings of one file in a text of /proc/PID/maps (proc(5))."""
    device = f"{os.major(inode[0]):02x}:{os.minor(inode[0]):02x}"
    for line in text.splitlines():
        addresses, mode, offset, where, number = line.split(maxsplit=5)[:5]
        if where == device and int(number) == inode[1] and mode[3] == "s":
            start, end = (int(part, 16) for part in addresses.split("-"))
            yield _Mapping(start, end, int(offset, 16))


def _block(text: str, name: str) -> tuple[int, int]:
    """Return host address and size of a RAM block in QEMU's ``info ramblock``."""
    match = re.search(
        rf"^\s*{re.escape(name)}\s+\S+\s+\S+\s+0x\w+\s+0x\w+\s+(0x\w+)\s+(0x\w+)",
        text,
        re.MULTILINE,
    )
    if match is None:
        raise MachineError(f"this QEMU has no RAM block {name}", CURE, text)
    return int(match[2], 16), int(match[1], 16)


def verify(process: QemuProcess, spec: MachineSpec, dram: Dram) -> None:
    """Raise MachineError unless QEMU's tags lie exactly where ``spec`` has them."""
    tree = process.hmp("info mtree").replace("\r", "")
    blocks = process.hmp("info ramblock").replace("\r", "")
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    tags = DRAM_BASE // RATIO
    dram_end, tags_end = DRAM_BASE + spec.memory - 1, tags + spec.memory // RATIO - 1
    for what, pattern in (
        ("DRAM", rf"^\s+{DRAM_BASE:016x}-{dram_end:016x} .*: dram$"),
        ("the tag block", rf"^\s+{tags:016x}-{tags_end:016x} .*: {re.escape(BLOCK)}$"),
    ):
        if not re.search(pattern, tree, re.MULTILINE):
            raise MachineError(f"this QEMU lays out memory differently: {what} moved", CURE, tree)
    address, size = _block(blocks, BLOCK)
    if size != spec.memory // RATIO:
        raise MachineError(f"QEMU's tag block has {size} bytes", CURE, blocks)
    found = set(_mappings(maps, dram.inode))
    wanted = set(_wanted(spec, address))
    whole = [m for m in found - wanted if (m.end - m.start, m.offset) == (spec.memory, 0)]
    if not wanted <= found or len(found) != len(wanted) + 1 or len(whole) != 1:
        raise MachineError(
            "QEMU did not take its tags from DRAM as it should: "
            f"{len(wanted & found)} of {len(wanted)} regions are in place, "
            f"{len(found)} mappings of DRAM exist",
            CURE,
            f"{blocks}\n{maps}",
        )


def _wanted(spec: MachineSpec, address: int) -> list[_Mapping]:
    """Return the parts of the tag block as /proc/PID/maps shows them: adjacent ones merged."""
    parts: list[_Mapping] = []
    for region in spec.tags:
        part = _Mapping(address, address + region.storage_size, region.storage - DRAM_BASE)
        if parts and part.offset == parts[-1].offset + parts[-1].end - parts[-1].start:
            last = parts.pop()
            part = _Mapping(last.start, part.end, last.offset)
        parts.append(part)
        address += region.storage_size
    return parts
