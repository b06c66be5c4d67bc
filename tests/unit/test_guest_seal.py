# SPDX-License-Identifier: MIT
"""A saved guest is taken only if its files are those that were saved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError
from harness.guest.seal import META, read_seal, write_seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    directory = tmp_path / "templates" / "key"
    directory.mkdir(parents=True)
    (directory / "state").write_bytes(b"state")
    with (directory / "dram").open("wb") as dram:
        for at in (0, 3 * MIB + 4096, 9 * MIB):
            dram.seek(at)
            dram.write(b"data")
        dram.truncate(16 * MIB)
    write_seal(directory, {"kernel": "stock"})
    return directory


def test_facts_come_back(entry: Path) -> None:
    assert read_seal(entry)["kernel"] == "stock"


def test_a_copy_without_holes_is_as_good(entry: Path) -> None:
    (entry / "dram").write_bytes((entry / "dram").read_bytes())
    read_seal(entry)


def write_at(path: Path, at: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"x")


def hole(path: Path) -> None:
    os.truncate(path, 0)
    os.truncate(path, 16 * MIB)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("dram", lambda path: os.truncate(path, 9 * MIB)),
        ("dram", hole),
        ("dram", lambda path: write_at(path, 3 * MIB + 4097)),
        ("dram", lambda path: write_at(path, 12 * MIB)),
        ("dram", lambda path: path.unlink()),
        ("state", lambda path: os.truncate(path, 3)),
        ("state", lambda path: write_at(path, 0)),
        (META, lambda path: path.write_text("{")),
        (META, lambda path: path.write_text("{}")),
        (META, lambda path: path.write_text("[]")),
        (META, lambda path: path.write_text('{"files": 1}')),
        (META, lambda path: path.unlink()),
    ],
)
def test_damage(entry: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(entry / name)
    with pytest.raises(ArtifactError, match=rf"key is damaged: {name}: ") as caught:
        read_seal(entry)
    assert caught.value.cure.endswith("mte-harness clean templates/key")
