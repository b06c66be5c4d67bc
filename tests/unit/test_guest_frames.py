# SPDX-License-Identifier: MIT
"""Frames of a process in a guest that runs on while the host looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import UsageError
from harness.core.progress import Silent
from harness.guest.frames import PageFrame, read_memory, settled
from harness.guest.page_view import describe_page
from harness.guest.ssh import Completed
from harness.vm.dram import Dram
from harness.vm.geometry import MIB
from harness.vm.spec import ONE_REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def answers(*texts: str, status: int = 0) -> Callable[[str], Completed]:
    rest = list(texts)

    def run(command: str) -> Completed:
        assert command == "frames 7 0x1000 1"
        return Completed(command, status, rest.pop(0) if len(rest) > 1 else rest[0], "", 0.0)

    return run


@pytest.fixture(scope="module")
def dram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dram]:
    scratch = tmp_path_factory.mktemp("dram")
    with Dram.create(1024 * MIB, ONE_REGION, scratch, Silent()) as found:
        found.write(0x40005000, b"five" + b"\x5a" * 12)
        found.write(0x40006000, b"six!")
        found.write(found.storage_address(0x40005), b"\x21")
        yield found


def test_a_page_that_moves_is_read_again(dram: Dram) -> None:
    run = answers("0x1000 0x40005 0x0\n", "0x1000 0x40006 0x0\n")
    assert read_memory(run, dram, 7, 0x1000, 4) == b"six!"


def test_a_page_that_never_stays() -> None:
    moves = [f"0x1000 {pfn:#x} 0x0\n" for pfn in range(0x40005, 0x40020)]
    with pytest.raises(UsageError, match="do not stay in place"):
        settled(answers(*moves), 7, 0x1000, 1, len)


def test_what_is_not_there(dram: Dram) -> None:
    with pytest.raises(UsageError, match="page 0x1000 of process 7 is not in memory"):
        read_memory(answers("0x1000 - -\n"), dram, 7, 0x1000, 4)
    with pytest.raises(UsageError, match="process 7 of the guest has no pagemap: frames: open"):
        read_memory(answers("frames: open\n", status=1), dram, 7, 0x1000, 4)


def test_a_page_for_a_person(dram: Dram) -> None:
    frame = PageFrame(0x1000, 0x40005, 1 << 41 | 1 << 12)
    lines = list(describe_page(dram, frame, 7, 0x1004 | 3 << 56))
    assert lines == [
        "page 0x1000: frame 0x40005, tags at 0x78000280",
        "kpageflags: anon, mte_tagged",
        "the pointer has tag 3, its granule 1: a checked access faults",
        "offset  tag  data",
        "> 0x000   1   66697665 5a5a5a5a 5a5a5a5a 5a5a5a5a  |fiveZZZZZZZZZZZZ|",
        "  0x010   2   00000000 00000000 00000000 00000000  |................|",
        "  0x020   0   00000000 00000000 00000000 00000000  |................|",
        "  *",
    ]


def test_a_page_that_is_not_tagged_never_faults(dram: Dram) -> None:
    lines = list(describe_page(dram, PageFrame(0x1000, 0x40005, 1 << 16), 7, 0x1004 | 3 << 56))
    assert lines[1] == "kpageflags (of the huge page's head): compound tail"
    assert not any("faults" in line for line in lines)
