# SPDX-License-Identifier: MIT
"""The descriptions of tag storage, compiled and applied as for QEMU's own tree."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import MachineError
from harness.vm.device_tree import apply_overlays, compile_source, decompile, overlay
from harness.vm.spec import MACHINES

if TYPE_CHECKING:
    from pathlib import Path

# As in QEMU's: two cells each, and an interrupt controller with the highest phandle.
BASE = """
/dts-v1/;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    intc@8000000 { phandle = <0x8003>; reg = <0 0x8000000 0 0x10000>; };
};
"""
SECONDS = 20.0


class Tree:
    """A device tree blob, read with fdtget."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _get(self, *words: str) -> str:
        command = ["fdtget", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def cells(self, node: str, name: str) -> list[int]:
        return [int(cell, 16) for cell in self._get("-t", "x", str(self.path), node, name).split()]

    def text(self, node: str, name: str) -> str:
        return self._get("-t", "s", str(self.path), node, name)

    def properties(self, node: str) -> list[str]:
        return self._get("-p", str(self.path), node).split()


def described(name: str, directory: Path) -> Tree:
    spec = MACHINES[name]
    overlays = [overlay(spec.describe, region) for region in spec.tags]
    path = directory / "machine.dtb"
    path.write_bytes(apply_overlays(compile_source(BASE, SECONDS), overlays, SECONDS))
    return Tree(path)


def test_carveout(tmp_path: Path) -> None:
    tree = described("dram/carveout", tmp_path)
    node = "/reserved-memory/tag-storage@78000000"
    assert tree.cells(node, "reg") == [0, 0x78000000, 0, 0x2000000]
    assert sorted(tree.properties(node)) == ["no-map", "reg"]
    assert tree.cells("/reserved-memory", "#address-cells") == [2]
    assert tree.cells("/reserved-memory", "#size-cells") == [2]
    assert "ranges" in tree.properties("/reserved-memory")


@pytest.mark.parametrize(
    ("name", "path", "memory"),
    [
        ("tag-storage", "/reserved-memory/tag-storage", "tagged-memory"),
        ("tag-storage-v1", "/metadata", "memory"),
    ],
)
def test_reuse(name: str, path: str, memory: str, tmp_path: Path) -> None:
    tree = described(f"dram-two-regions/{name}", tmp_path)
    for base, storage in ((0x40000000, 0x5C000000), (0x60000000, 0x78000000)):
        node, ram = f"{path}@{storage:x}", f"/ram@{base:x}"
        assert tree.cells(node, "reg") == [0, storage, 0, 0x1000000]
        assert tree.cells(node, "block-size") == [4096]
        assert tree.text(node, "compatible") == "arm,mte-tag-storage"
        assert tree.cells(node, memory) == tree.cells(ram, "phandle")
        assert tree.cells(ram, "reg") == [0, base, 0, 0x20000000]
        assert tree.text(ram, "device_type") == "memory"
        assert ("reusable" in tree.properties(node)) == (name == "tag-storage")
    handles = [tree.cells(f"/ram@{base}", "phandle")[0] for base in ("40000000", "60000000")]
    assert len({*handles, 0x8003}) == 3


def test_block_size_is_claimed(tmp_path: Path) -> None:
    tree = described("dram-8k-blocks/tag-storage", tmp_path)
    assert tree.cells("/reserved-memory/tag-storage@78000000", "block-size") == [8192]


def test_decompiled_source_compiles_to_the_same_blob() -> None:
    blob = compile_source(BASE, SECONDS)
    assert compile_source(decompile(blob, SECONDS), SECONDS) == blob


def test_an_error_of_dtc_is_reported() -> None:
    with pytest.raises(MachineError, match=r"dtc failed.*syntax error"):
        compile_source("/dts-v1/; / {", SECONDS)
