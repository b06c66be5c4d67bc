# SPDX-License-Identifier: MIT
"""DRAM as an unnamed file: what backs it, how it is saved with its holes, where tags lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import DiskFullError, UsageError
from harness.core.progress import Silent
from harness.vm import dram as dram_module
from harness.vm.dram import Dram
from harness.vm.geometry import DRAM_BASE, MIB, PAGE
from harness.vm.spec import ONE_REGION

if TYPE_CHECKING:
    from harness.core.progress import Progress


def test_is_a_memfd(tmp_path: Path) -> None:
    with Dram.create(MIB, ONE_REGION, tmp_path, Silent()) as dram:
        assert str(Path(f"/proc/self/fd/{dram.fd}").readlink()).startswith("/memfd:mte-dram")
    assert dram.fd == -1
    dram.close()


def test_is_a_file_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    progress: Progress = Silent()
    monkeypatch.setattr(progress, "step", reported.append, raising=False)
    monkeypatch.setattr(dram_module, "available_memory", lambda: dram_module.SPARE)
    with Dram.create(MIB, ONE_REGION, tmp_path, progress) as dram:
        assert str(Path(f"/proc/self/fd/{dram.fd}").readlink()).startswith(str(tmp_path))
        assert list(tmp_path.iterdir()) == []
    assert reported == [f"little memory is free: the guest's DRAM is a file in {tmp_path}"]


def test_saved_and_loaded_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "dram"
    with Dram.create(64 * MIB, ONE_REGION, tmp_path, Silent()) as dram:
        dram.view[5 * MIB : 5 * MIB + 4] = b"here"
        dram.view[64 * MIB - 3 :] = b"end"
        dram.save(path)
    assert path.stat().st_size == 64 * MIB
    assert path.stat().st_blocks * 512 < MIB
    with Dram.create(64 * MIB, ONE_REGION, tmp_path, Silent()) as dram:
        dram.load(path)
        assert dram.view[5 * MIB : 5 * MIB + 5] == b"here\0"
        assert dram.view[64 * MIB - 3 :] == b"end"
        assert os.fstat(dram.fd).st_blocks * 512 < MIB


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with Dram.create(MIB, ONE_REGION, tmp_path, Silent()) as dram:
        dram.view[0] = 1
        with pytest.raises(DiskFullError):
            dram.save(tmp_path / "dram")


def test_tags_of_a_frame(tmp_path: Path) -> None:
    with Dram.create(1024 * MIB, ONE_REGION, tmp_path, Silent()) as dram:
        pfn = DRAM_BASE // PAGE + 3
        dram.write(0x78000000 + 3 * 128, b"\x21\x43")
        assert dram.tags(pfn)[:6] == bytes([1, 2, 3, 4, 0, 0])
        assert len(dram.tags(pfn)) == 256
        assert dram.storage(pfn)[:3] == b"\x21\x43\0"
        assert dram.read(0x78000180, 2) == b"\x21\x43"
        for address, length in ((DRAM_BASE - 1, 1), (DRAM_BASE, 1024 * MIB + 1), (DRAM_BASE, -1)):
            with pytest.raises(UsageError, match="not in DRAM"):
                dram.read(address, length)
