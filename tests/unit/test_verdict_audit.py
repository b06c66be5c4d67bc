# SPDX-License-Identifier: MIT
"""The auditor on page arrays made by hand: each kind of use, and of what cannot be known."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.core.errors import AuditError
from harness.core.progress import Silent
from harness.verdict.audit import Audit, examine
from harness.verdict.audit_rules import Expected, PausedGuest
from harness.verdict.finding import FindingKind
from harness.verdict.vmcore import FIELDS, Marks, Pages, Vmcoreinfo, page_type
from harness.vm.dram import Dram
from harness.vm.geometry import DRAM_BASE, MIB, PAGE
from harness.vm.spec import ONE_REGION, Description

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST = DRAM_BASE // PAGE
FRAMES = 1024 * MIB // PAGE
STORAGE = 0x78000000 // PAGE
BASE = 0xFFFFFDFFC0000000
TAGGED, RESERVED, HEAD, HOLDS = 23, 13, 6, 25
BITS = {"tagged": TAGGED, "reserved": RESERVED}
REUSE = {**BITS, "holds": HOLDS}
BUDDY = 0xF0000000
MARKS = Marks(buddy=BUDDY, head=1 << HEAD, orders=11, list_offset=8)
# Frame 5 of DRAM has its tags in the first frame of storage, frame 40 in the second.
ONE, TWO = FIRST + 5, FIRST + 40


@pytest.fixture(scope="module")
def dram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dram]:
    scratch = tmp_path_factory.mktemp("dram")
    with Dram.create(1024 * MIB, ONE_REGION, scratch, Silent()) as made:
        yield made


class Memory:
    """struct page of 1 GiB, all of it in use by the kernel; frames are PFNs."""

    def __init__(self) -> None:
        kind = page_type([0, 8, 8, 16, 24, 40, 48, 52], 64)
        assert list(FIELDS) == list(kind.names or ())
        self.array = np.zeros(FRAMES, kind)
        self.array["_refcount"] = 1
        self.array["_mapcount"] = 0xFFFFFFFF

    def set(self, pfn: int, **fields: Any) -> None:
        for name, value in fields.items():
            self.array[name][pfn - FIRST] = value

    def free(self, pfn: int, order: int) -> None:
        for at in range(pfn, pfn + (1 << order)):
            self.set(at, _refcount=0)
        self.set(pfn, _mapcount=BUDDY, private=order)

    def pages(self) -> Pages:
        return Pages(self.array, FIRST, BASE, MARKS)

    def audit(self, dram: Dram, describe: Description = Description.UNAWARE, **known: Any) -> Audit:
        tags = known.pop("tags", None)
        bits = known.pop("bits", BITS)
        expected = Expected(**known) if known else None
        return examine(dram, describe, PausedGuest(self.pages(), bits, expected, tags, 0.0))


@pytest.fixture
def memory() -> Memory:
    made = Memory()
    made.set(ONE, flags=1 << TAGGED)
    made.set(TWO, flags=1 << TAGGED)
    return made


def test_storage_of_the_kernel(memory: Memory, dram: Dram) -> None:
    memory.free(STORAGE, 0)
    audit = memory.audit(dram)
    assert audit.frames(FindingKind.STORAGE_IN_USE) == {TWO}
    assert not audit.clean
    assert (
        "frame 0x40028, tags at 0x78001400: 0x78001 is of the kernel's, refcount 1" in audit.text()
    )
    memory.free(STORAGE + 1, 0)
    assert memory.audit(dram).clean
    assert memory.audit(dram).text() == "2 tagged pages, 0 with known tags\nconsistent"


def test_a_free_block_counts_as_a_whole(memory: Memory, dram: Dram) -> None:
    memory.free(STORAGE, 10)
    assert memory.audit(dram).clean
    memory.set(STORAGE, private=0)
    assert memory.audit(dram).frames(FindingKind.UNKNOWN) == {TWO}


def test_impossible_order(memory: Memory, dram: Dram) -> None:
    memory.free(STORAGE, 0)
    memory.set(STORAGE, private=2**63)
    with pytest.raises(AuditError, match="a free block has order 9223372036854775808"):
        memory.audit(dram)


def test_free_in_a_list_of_a_cpu(memory: Memory, dram: Dram) -> None:
    memory.free(STORAGE, 0)
    other = STORAGE + 700
    for pfn, neighbour in ((STORAGE + 1, other), (other, STORAGE + 1)):
        at = BASE + (neighbour - FIRST) * 64 + 8
        memory.set(pfn, _refcount=0, lru_next=at, lru_prev=at)
    assert memory.audit(dram).clean
    memory.set(other, lru_prev=0)  # a link that nobody returns is old
    audit = memory.audit(dram)
    assert audit.frames(FindingKind.UNKNOWN) == {TWO}
    assert audit.clean
    assert "cannot be told" in audit.text()


@pytest.mark.parametrize(
    "use",
    [
        {"_refcount": 2, "mapping": 0xFFFF000000000001},
        {"_refcount": 0, "compound_head": BASE + 1},
        {"_refcount": 0, "flags": 1 << HEAD},
        {"_refcount": 0, "_mapcount": 0xF5000000},
        {"_refcount": 1, "flags": 1 << RESERVED},
    ],
    ids=["anonymous", "tail", "head", "typed", "reserved early"],
)
def test_in_use(use: dict[str, int], memory: Memory, dram: Dram) -> None:
    memory.free(STORAGE, 0)
    memory.set(STORAGE + 1, **use)
    assert memory.audit(dram).frames(FindingKind.STORAGE_IN_USE) == {TWO}


def test_carveout_is_reserved(memory: Memory, dram: Dram) -> None:
    memory.set(STORAGE, flags=1 << RESERVED)
    audit = memory.audit(dram, Description.CARVEOUT)
    assert audit.frames(FindingKind.STORAGE_IN_USE) == {TWO}
    memory.set(STORAGE + 1, flags=1 << RESERVED)
    assert memory.audit(dram, Description.CARVEOUT).clean


def test_storage_that_is_tagged(memory: Memory, dram: Dram) -> None:
    memory.free(STORAGE, 10)
    memory.set(STORAGE + 3, flags=1 << TAGGED)
    audit = memory.audit(dram)
    assert audit.frames(FindingKind.STORAGE_TAGGED) == {STORAGE + 3}
    assert not audit.clean


def test_a_block_is_one(memory: Memory, tmp_path: Path) -> None:
    memory.free(STORAGE, 0)
    memory.free(STORAGE + 1, 0)
    memory.set(STORAGE + 2, _refcount=1)
    blocks = tuple(dataclasses.replace(region, block_size=8192) for region in ONE_REGION)
    with Dram.create(1024 * MIB, blocks, tmp_path, Silent()) as dram:
        assert memory.audit(dram).clean
        memory.set(STORAGE + 1, _mapcount=0xFFFFFFFF, _refcount=1)
        assert memory.audit(dram).frames(FindingKind.STORAGE_IN_USE) == {ONE, TWO}


def test_known_tags(memory: Memory, dram: Dram) -> None:
    memory.free(STORAGE, 10)
    pfns = np.array([ONE, TWO, TWO + 1])
    storage = np.zeros((3, 128), np.uint8)
    tags = storage.copy()
    tags[1, 2] = 0x30
    audit = memory.audit(dram, pfns=pfns, storage=storage, tags=tags)
    assert audit.frames(FindingKind.TAGS_WRONG) == {TWO}
    assert audit.frames(FindingKind.NOT_TAGGED) == {TWO + 1}
    assert "1 of 256 granules, the first at offset 0x50: expected 0x0, saw 0x3" in audit.text()


def test_vmcoreinfo(dram: Dram) -> None:
    with pytest.raises(AuditError, match=r"no /sys/kernel/vmcoreinfo \(build the kernel with"):
        Vmcoreinfo.read(dram, "")
    with pytest.raises(AuditError, match="is damaged"):
        Vmcoreinfo.read(dram, "0x123 1024\n")
    note = b"\x0b\0\0\0\x30\0\0\0\0\0\0\0VMCOREINFO\0\0PAGESIZE=4096\nSYMBOL(vmemmap)=ff10\nX=y\n"
    dram.write(0x41000000, note)
    info = Vmcoreinfo.read(dram, "0x0000000041000000 400\n")
    assert (info.number("PAGESIZE"), info.number("SYMBOL(vmemmap)")) == (4096, 0xFF10)
    with pytest.raises(AuditError, match="vmcoreinfo has no SIZE"):
        info.number("SIZE(page)")
    with pytest.raises(AuditError, match="X=y"):
        info.number("X")


@pytest.fixture
def reuse() -> Memory:
    """Return a guest whose kernel reuses tag storage: ONE and TWO are tagged and hold theirs."""
    made = Memory()
    for pfn in (ONE, TWO):
        made.set(pfn, flags=1 << TAGGED | 1 << HOLDS)
    made.set(STORAGE, flags=1 << RESERVED)
    made.set(STORAGE + 1, flags=1 << RESERVED)
    return made


def test_reserved_storage_is_held(reuse: Memory, dram: Dram) -> None:
    assert reuse.audit(dram, Description.TAG_STORAGE, bits=REUSE).clean


def test_free_storage_is_not_enough(reuse: Memory, dram: Dram) -> None:
    """The next allocation would get it; a kernel that reuses nothing has it off the lists."""
    reuse.free(STORAGE, 0)
    reuse.set(STORAGE, flags=0)
    audit = reuse.audit(dram, Description.TAG_STORAGE, bits=REUSE)
    assert audit.frames(FindingKind.STORAGE_IN_USE) == {ONE}


def test_storage_reserved_and_free(reuse: Memory, dram: Dram) -> None:
    reuse.free(STORAGE, 0)
    audit = reuse.audit(dram, Description.TAG_STORAGE, bits=REUSE)
    assert audit.frames(FindingKind.STORAGE_IN_USE) == {ONE}


def test_a_tagged_page_that_holds_nothing(reuse: Memory, dram: Dram) -> None:
    reuse.set(TWO, flags=1 << TAGGED)
    audit = reuse.audit(dram, Description.TAG_STORAGE, bits=REUSE)
    assert audit.frames(FindingKind.HOLDS_NOTHING) == {TWO}
    assert audit.frames(FindingKind.LEAKED) == {STORAGE + 1}


def test_leaked_storage(reuse: Memory, dram: Dram) -> None:
    reuse.set(STORAGE + 9, flags=1 << RESERVED)
    audit = reuse.audit(dram, Description.TAG_STORAGE, bits=REUSE)
    assert audit.frames(FindingKind.LEAKED) == {STORAGE + 9}
    assert not audit.clean


def test_a_kernel_that_leaves_described_storage_reserved(memory: Memory, dram: Dram) -> None:
    memory.set(STORAGE, flags=1 << RESERVED)
    memory.set(STORAGE + 1, flags=1 << RESERVED)
    assert memory.audit(dram, Description.TAG_STORAGE).clean
    memory.set(STORAGE, flags=0)
    assert memory.audit(dram, Description.TAG_STORAGE).frames(FindingKind.STORAGE_IN_USE) == {ONE}
