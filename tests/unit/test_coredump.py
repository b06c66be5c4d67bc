# SPDX-License-Identifier: MIT
"""Tag segments of hand-made cores: no QEMU, no kernel."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import pytest

from harness.core.errors import KernelError
from tests.support.coredump import (
    Mapping,
    mapping_tags,
    parse_mappings,
    read_tag_segments,
    tags_at,
)

ET_CORE, ET_EXEC, EM_AARCH64, EM_X86_64 = 4, 2, 183, 62
PT_LOAD, PT_MEMTAG = 1, 0x70000002

# pattern_tag() of guest/lib/pattern.c for granules 0 to 2 of seed 1.
GOLDEN_SEED_1 = [11, 6, 11]


@dataclass(frozen=True)
class Segment:
    vaddr: int
    memsz: int
    data: bytes
    kind: int = PT_MEMTAG
    flags: int = 0
    align: int = 0


def elf(
    *segments: Segment, e_type: int = ET_CORE, machine: int = EM_AARCH64, cut: int = 0
) -> io.BytesIO:
    """Return a 64-bit little-endian ELF file whose last `cut` bytes are missing."""
    at = 64 + 56 * len(segments)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("<HHIQQQIHHHHHH", e_type, machine, 1, 0, 64, 0, 0, 64, 56, len(segments),
                       64, 0, 0)  # fmt: skip
    table, body = b"", b""
    for one in segments:
        table += struct.pack("<IIQQQQQQ", one.kind, one.flags, at + len(body), one.vaddr, 0,
                             len(one.data), one.memsz, one.align)  # fmt: skip
        body += one.data
    whole = ident + head + table + body
    return io.BytesIO(whole[: len(whole) - cut])


def test_two_tags_a_byte_the_lower_granule_first() -> None:
    core = elf(Segment(0x1000, 4 * 16, bytes([0x21, 0xF0])))
    assert read_tag_segments(core) == {0x1000: bytes([1, 2, 0, 15])}


def test_only_tag_segments_count() -> None:
    core = elf(
        Segment(0x1000, 4096, bytes(4096), kind=PT_LOAD, flags=6, align=4096),
        Segment(0x1000, 4096, bytes([0x33]) * 128),
        Segment(0x9000, 4096, bytes(4096), kind=PT_LOAD, flags=6, align=4096),
    )
    assert read_tag_segments(core) == {0x1000: bytes([3]) * 256}


def test_segment_left_out_of_the_dump_has_no_tags() -> None:
    assert read_tag_segments(elf(Segment(0x1000, 4096, b""))) == {0x1000: b""}


def test_core_without_tags() -> None:
    assert read_tag_segments(elf()) == {}


@pytest.mark.parametrize(
    ("core", "cause"),
    [
        (io.BytesIO(b""), "cannot be read"),
        (io.BytesIO(b"no ELF file at all"), "cannot be read"),
        (elf(e_type=ET_EXEC), "not an arm64 core dump"),
        (elf(machine=EM_X86_64), "not an arm64 core dump"),
        (elf(Segment(0x1000, 4096, bytes(128)), cut=5), "ends 5 bytes too early"),
        (elf(Segment(0x1000, 32, bytes(2))), "2 bytes of tags for 32 bytes"),
        (elf(Segment(0x1000, 32, bytes(1), flags=4)), "p_flags"),
        (elf(Segment(0x1000, 32, bytes(1), align=16)), "p_align"),
    ],
)
def test_bad_core_is_refused(core: io.BytesIO, cause: str) -> None:
    with pytest.raises(KernelError, match=cause):
        read_tag_segments(core)


def test_mappings_are_read_from_stdout() -> None:
    assert parse_mappings("ffff0000 1000 1\n1230 20 0\n") == [
        Mapping(0xFFFF0000, 0x1000, 1),
        Mapping(0x1230, 0x20, 0),
    ]


def test_a_mapping_has_the_tags_of_its_pattern() -> None:
    assert mapping_tags(Mapping(0, 48, 0)) == bytes(3)
    assert mapping_tags(Mapping(0, 48, 1)) == bytes(GOLDEN_SEED_1)


def test_tags_of_part_of_a_segment() -> None:
    core = elf(Segment(0x1000, 6 * 16, bytes([0x21, 0x43, 0x65])))
    middle = Mapping(0x1000 + 32, 32, 5)
    assert tags_at(core, [middle]) == {middle: bytes([3, 4])}


@pytest.mark.parametrize("address", [0x0FF0, 0x1050, 0x8000])
def test_mapping_without_tags_is_an_error(address: int) -> None:
    core = elf(Segment(0x1000, 6 * 16, bytes(3)))
    with pytest.raises(KernelError, match="no tags for 0x20 bytes"):
        tags_at(core, [Mapping(address, 32, 1)])
