# SPDX-License-Identifier: MIT
"""Where tags live: the arithmetic, and the machines that cannot be."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import MachineError
from harness.vm.geometry import DRAM_BASE, MIB, TagRegion, check_geometry, storage_of
from harness.vm.spec import MACHINES, ONE_REGION, TWO_REGIONS

GIB = 1024 * MIB
(ONE,) = ONE_REGION


@pytest.mark.parametrize("name", [name for name, spec in MACHINES.items() if spec.tags])
def test_the_machines_are_possible(name: str) -> None:
    check_geometry(MACHINES[name].tags, MACHINES[name].memory)


def test_first_and_last_byte() -> None:
    assert storage_of(ONE_REGION, DRAM_BASE) == 0x78000000
    assert storage_of(ONE_REGION, DRAM_BASE + 31) == 0x78000000
    assert storage_of(ONE_REGION, DRAM_BASE + 32) == 0x78000001
    assert storage_of(ONE_REGION, DRAM_BASE + GIB - 1) == 0x79FFFFFF
    assert storage_of(TWO_REGIONS, 0x60000000) == 0x78000000
    with pytest.raises(MachineError, match="not in tagged memory"):
        storage_of(ONE_REGION, DRAM_BASE + GIB)


@given(st.integers(0, GIB - 1), st.integers(0, GIB - 1))
def test_two_granules_share_a_byte_or_nothing(one: int, two: int) -> None:
    same = one // 32 == two // 32
    for regions in (ONE_REGION, TWO_REGIONS):
        assert (
            storage_of(regions, DRAM_BASE + one) == storage_of(regions, DRAM_BASE + two)
        ) == same


def region(**changes: int) -> tuple[TagRegion, ...]:
    return (dataclasses.replace(ONE, **changes),)


@pytest.mark.parametrize(
    ("regions", "memory", "why"),
    [
        (region(size=GIB - 4096), GIB, "do not divide into storage blocks"),
        (region(), GIB + 4096, "the tag regions end at 0x80000000, DRAM at 0x80001000"),
        (region(storage=0x7F000000), GIB, "is not within DRAM"),
        (region(storage=0x30000000), GIB, "is not within DRAM"),
        (region(storage=0x40000000), GIB, "above QEMU's boot data, 0x4c000000"),
        (region(storage=0x78000800), GIB, "is not block-aligned"),
        (region(block_size=12288), GIB, "block-size 12288 is not a power-of-two multiple"),
        (region(block_size=2048), GIB, "block-size 2048 is not a power-of-two multiple"),
        (region(base=0x50000000), GIB, "starts at 0x50000000, not at 0x40000000"),
        (
            (TWO_REGIONS[0], dataclasses.replace(TWO_REGIONS[1], base=0x5F000000)),
            GIB,
            "without gap or overlap",
        ),
        (
            (TWO_REGIONS[0], dataclasses.replace(TWO_REGIONS[1], storage=0x5C800000)),
            GIB,
            "its storage overlaps that of another region",
        ),
    ],
)
def test_impossible_layouts_are_refused(
    regions: tuple[TagRegion, ...], memory: int, why: str
) -> None:
    with pytest.raises(MachineError, match=why):
        check_geometry(regions, memory)
