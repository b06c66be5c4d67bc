# SPDX-License-Identifier: MIT
"""DRAM without a name: where it is, and that it is copied with its holes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import DiskFullError, UsageError
from harness.core.progress import Silent
from harness.vm import dram as ram_module
from harness.vm.dram import Ram
from harness.vm.dram_view import Dram
from harness.vm.geometry import DRAM, MIB, PAGE
from harness.vm.spec import ONE_REGION

if TYPE_CHECKING:
    from harness.core.progress import Progress


def test_it_is_memory(tmp_path: Path) -> None:
    with Ram.create(MIB, tmp_path, Silent()) as ram:
        assert str(Path(f"/proc/self/fd/{ram.fd}").readlink()).startswith("/memfd:mte-dram")
    assert ram.fd == -1
    ram.close()


def test_little_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    progress: Progress = Silent()
    monkeypatch.setattr(progress, "step", said.append, raising=False)
    monkeypatch.setattr(ram_module, "_available", lambda: ram_module.SPARE)
    with Ram.create(MIB, tmp_path, progress) as ram:
        assert str(Path(f"/proc/self/fd/{ram.fd}").readlink()).startswith(str(tmp_path))
        assert list(tmp_path.iterdir()) == []
    assert said == [f"little memory is free: the guest's DRAM is a file in {tmp_path}"]


def test_saved_and_loaded_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "ram"
    with Ram.create(64 * MIB, tmp_path, Silent()) as ram:
        ram.view[5 * MIB : 5 * MIB + 4] = b"here"
        ram.view[64 * MIB - 3 :] = b"end"
        ram.save(path)
    assert path.stat().st_size == 64 * MIB
    assert path.stat().st_blocks * 512 < MIB
    with Ram.create(64 * MIB, tmp_path, Silent()) as ram:
        ram.load(path)
        assert ram.view[5 * MIB : 5 * MIB + 5] == b"here\0"
        assert ram.view[64 * MIB - 3 :] == b"end"
        assert os.fstat(ram.fd).st_blocks * 512 < MIB


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with Ram.create(MIB, tmp_path, Silent()) as ram:
        ram.view[0] = 1
        with pytest.raises(DiskFullError):
            ram.save(tmp_path / "ram")


def test_tags_of_a_frame(tmp_path: Path) -> None:
    with Ram.create(1024 * MIB, tmp_path, Silent()) as ram:
        dram = Dram(ram, ONE_REGION)
        pfn = DRAM // PAGE + 3
        dram.write(0x78000000 + 3 * 128, b"\x21\x43")
        assert dram.tags(pfn)[:6] == bytes([1, 2, 3, 4, 0, 0])
        assert len(dram.tags(pfn)) == 256
        assert dram.storage(pfn)[:3] == b"\x21\x43\0"
        assert dram.read(0x78000180, 2) == b"\x21\x43"
        for address, length in ((DRAM - 1, 1), (DRAM, 1024 * MIB + 1), (DRAM, -1)):
            with pytest.raises(UsageError, match="not in DRAM"):
                dram.read(address, length)
