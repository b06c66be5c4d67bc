# SPDX-License-Identifier: MIT
"""What the guest is told of its tag storage."""

from __future__ import annotations

import fdt
import pytest

from harness.vm.device_tree import describe
from harness.vm.spec import MACHINES


def described(name: str) -> fdt.FDT:
    tree = fdt.FDT()
    tree.add_item(fdt.PropWords("phandle", 0x8003), "/intc", create=True)
    describe(tree, MACHINES[name])
    return fdt.parse_dtb(tree.to_dtb(version=17))  # as the kernel reads it


def words(tree: fdt.FDT, path: str, name: str) -> list[int]:
    return list(tree.get_property(name, path))


def test_carveout() -> None:
    tree = described("dram/carveout")
    path = "/reserved-memory/tag-storage@78000000"
    assert words(tree, path, "reg") == [0, 0x78000000, 0, 0x2000000]
    assert tree.exist_property("no-map", path)
    assert not tree.exist_property("compatible", path)
    assert words(tree, "/reserved-memory", "#address-cells") == [2]
    assert tree.exist_property("ranges", "/reserved-memory")


@pytest.mark.parametrize(
    ("name", "path", "memory"),
    [
        ("tag-storage", "/reserved-memory/tag-storage", "tagged-memory"),
        ("tag-storage-v1", "/metadata", "memory"),
    ],
)
def test_reuse(name: str, path: str, memory: str) -> None:
    tree = described(f"dram-two-regions/{name}")
    for base, storage in ((0x40000000, 0x5C000000), (0x60000000, 0x78000000)):
        node, ram = f"{path}@{storage:x}", f"/ram@{base:x}"
        assert words(tree, node, "reg") == [0, storage, 0, 0x1000000]
        assert words(tree, node, "block-size") == [4096]
        assert tree.get_property("compatible", node).value == "arm,mte-tag-storage"
        # QEMU would remove a node called memory, and its phandle with it.
        assert words(tree, node, memory) == words(tree, ram, "phandle")
        assert words(tree, ram, "reg") == [0, base, 0, 0x20000000]
        assert tree.get_property("device_type", ram).value == "memory"
    handles = [words(tree, f"/ram@{base}", "phandle") for base in ("40000000", "60000000")]
    assert handles[0] != handles[1]
    assert [0x8003] not in handles


def test_block_size_is_claimed() -> None:
    tree = described("dram-8k-blocks/tag-storage")
    assert words(tree, "/reserved-memory/tag-storage@78000000", "block-size") == [8192]
