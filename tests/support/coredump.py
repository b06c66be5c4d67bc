# SPDX-License-Identifier: MIT
"""MTE tags in core dumps, read on the host with pyelftools.

``guest/programs/tagged_abort.c`` tags memory by a pattern, prints what it did
and aborts. A test runs it in a guest, fetches the core and compares::

    mappings = parse_mappings(stdout)
    with core_path.open("rb") as core:
        tags = tags_at(core, mappings)
    for mapping in mappings:
        assert tags[mapping] == mapping_tags(mapping)

Format: Documentation/arch/arm64/memory-tagging-extension.rst, "Core dump
support"; the kernel writes it in arch/arm64/kernel/elfcore.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.core.errors import KernelError
from harness.core.pattern import GRANULE, pattern_tags

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

PT_AARCH64_MEMTAG_MTE = 0x70000002  # PT_LOPROC + 2, include/uapi/linux/elf.h
_FIELDS = ("p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_flags", "p_align")


@dataclass(frozen=True)
class Mapping:
    """A line of tagged_abort's output: bytes of memory, and the seed of their pattern."""

    address: int
    length: int
    seed: int


def parse_mappings(stdout: str) -> list[Mapping]:
    """Read tagged_abort's output: address and length in hexadecimal, seed in decimal."""
    mappings = []
    for line in stdout.splitlines():
        address, length, seed = line.split()
        mappings.append(Mapping(int(address, 16), int(length, 16), int(seed)))
    return mappings


def mapping_tags(mapping: Mapping) -> bytes:
    """Return the tags that the mapping must have, one per byte; with seed 0 all are 0."""
    count = mapping.length // GRANULE
    return pattern_tags(mapping.seed, 0, count) if mapping.seed else bytes(count)


def read_tag_segments(core: BinaryIO) -> dict[int, bytes]:
    """Return the tags of each tagged mapping by its address, one tag (0 to 15) a byte.

    A mapping that was left out of the dump (MADV_DONTDUMP, coredump_filter) has
    no tags: ``b""``. Raises KernelError for a file that is no whole arm64 core,
    and for a segment that contradicts the documented format.
    """
    segments: dict[int, bytes] = {}
    try:
        elf = ELFFile(core)
        if elf["e_type"] != "ET_CORE" or elf["e_machine"] != "EM_AARCH64":
            raise KernelError(
                "not an arm64 core dump: " + f"{elf['e_type']}, {elf['e_machine']}",
                "check core_pattern in the guest",
            )
        for segment in elf.iter_segments():
            kind: object = segment["p_type"]  # a number where pyelftools has no name
            if kind == PT_AARCH64_MEMTAG_MTE:
                packed = segment.data()
                header = {key: int(segment[key]) for key in _FIELDS}
                _check(header, len(packed))
                segments[header["p_vaddr"]] = _unpack(packed)
    except ELFError as error:
        raise KernelError(f"the core dump cannot be read: {error}") from error
    return segments


def tags_at(core: BinaryIO, mappings: Iterable[Mapping]) -> dict[Mapping, bytes]:
    """Return the tags of each mapping, cut out of the segment that holds it.

    Raises KernelError where no tag segment holds all of a mapping.
    """
    segments = read_tag_segments(core)
    found = {}
    for mapping in mappings:
        for address, tags in segments.items():
            first = (mapping.address - address) // GRANULE
            count = mapping.length // GRANULE
            if first >= 0 and first + count <= len(tags):
                found[mapping] = tags[first : first + count]
                break
        else:
            raise KernelError(
                f"the core dump has no tags for {mapping.length:#x} bytes at {mapping.address:#x}"
            )
    return found


def _check(header: dict[str, int], size: int) -> None:
    """Refuse a segment whose sizes contradict each other or the end of the file."""
    at = f"tag segment at {header['p_vaddr']:#x}"
    if size != header["p_filesz"]:
        raise KernelError(f"{at}: the core dump ends {header['p_filesz'] - size} bytes too early")
    if size * 2 * GRANULE > header["p_memsz"]:
        raise KernelError(f"{at}: {size} bytes of tags for {header['p_memsz']} bytes of memory")
    if header["p_flags"] or header["p_align"] or header["p_paddr"]:
        raise KernelError(f"{at}: p_flags, p_align or p_paddr is not 0")


def _unpack(packed: bytes) -> bytes:
    """Give two tags a byte, the lower granule in the low half, a byte each."""
    tags = bytearray(2 * len(packed))
    tags[0::2] = bytes(byte & 15 for byte in packed)
    tags[1::2] = bytes(byte >> 4 for byte in packed)
    return bytes(tags)
