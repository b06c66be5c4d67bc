# SPDX-License-Identifier: MIT
"""What the guest is told of its tag storage: QEMU's device tree, with nodes added.

With ``-dtb``, QEMU removes each root node named ``memory`` or ``memory@…`` and writes
one of its own, without a phandle (hw/arm/boot.c, arm_load_dtb). The tagged memory is
therefore described a second time, in a node of another name; memblock merges them.
"""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from typing import TYPE_CHECKING

import fdt

from harness.core.errors import MachineError
from harness.vm.qemu_args import dump_command
from harness.vm.spec import Description

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.limits import Limits
    from harness.core.store import Store
    from harness.vm.geometry import TagRegion
    from harness.vm.qemu import Qemu
    from harness.vm.spec import MachineSpec

BLOB = "machine.dtb"
COMPATIBLE = "arm,mte-tag-storage"


def obtain_device_tree(store: Store, qemu: Qemu, spec: MachineSpec, limits: Limits) -> Path | None:
    """The device tree blob of this machine; None where QEMU's own serves."""
    if not spec.tags or spec.describe is Description.UNAWARE:
        return None
    # QEMU puts new random seeds into each dump; a template's guest has to keep its own.
    dump = store.obtain(
        _key(repr((qemu.identity, spec.key())).encode()),
        lambda directory: _dump(qemu, spec, directory / BLOB, limits.host_tool),
    )
    tree = fdt.parse_dtb((dump / BLOB).read_bytes())
    describe(tree, spec)
    blob = tree.to_dtb(version=17)

    def make(directory: Path) -> None:
        (directory / BLOB).write_bytes(blob)

    return store.obtain(_key(blob), make) / BLOB


def _key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _dump(qemu: Qemu, spec: MachineSpec, blob: Path, seconds: float) -> None:
    command = dump_command(qemu, spec, blob)
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
        why = result.stderr.strip()
    except subprocess.TimeoutExpired:
        why = f"no end within {seconds:.0f} s"
    if not blob.exists():
        raise MachineError(f"{qemu.path} gives no device tree: {why}", shlex.join(command))


def describe(tree: fdt.FDT, spec: MachineSpec) -> None:
    """Adds to ``tree`` what ``spec.describe`` says of each tag region."""
    free_phandle = 1 + max(
        item.value for item in _words(tree, "phandle")
    )  # the interrupt controller's is the first that QEMU gives
    if spec.describe is Description.CARVEOUT or spec.describe is Description.TAG_STORAGE:
        for name, value in (("#address-cells", 2), ("#size-cells", 2)):
            tree.set_property(name, value, "/reserved-memory", create=True)
        tree.add_item(fdt.Property("ranges"), "/reserved-memory")
    for number, region in enumerate(spec.tags):
        if spec.describe is Description.CARVEOUT:
            node = _node("tag-storage", region.storage, region.storage_size)
            node.append(fdt.Property("no-map"))
            tree.add_item(node, "/reserved-memory")
            continue
        ram = _node("ram", region.base, region.size)
        ram.append(fdt.PropStrings("device_type", "memory"))
        ram.append(fdt.PropWords("phandle", free_phandle + number))
        tree.add_item(ram, "/")
        if spec.describe is Description.TAG_STORAGE:
            node = _storage("tag-storage", region, "tagged-memory", free_phandle + number)
            node.append(fdt.Property("reusable"))
            tree.add_item(node, "/reserved-memory")
        else:
            tree.add_item(_storage("metadata", region, "memory", free_phandle + number), "/")


def _words(tree: fdt.FDT, name: str) -> list[fdt.PropWords]:
    return [
        item
        for _path, _nodes, properties in tree.walk("/")
        for item in properties
        if item.name == name
    ]


def _node(name: str, base: int, size: int) -> fdt.Node:
    """A node with a ``reg`` of two cells each."""
    node = fdt.Node(f"{name}@{base:x}")
    node.append(fdt.PropWords("reg", base >> 32, base & 0xFFFFFFFF, size >> 32, size & 0xFFFFFFFF))
    return node


def _storage(name: str, region: TagRegion, memory: str, phandle: int) -> fdt.Node:
    node = _node(name, region.storage, region.storage_size)
    node.append(fdt.PropStrings("compatible", COMPATIBLE))
    node.append(fdt.PropWords("block-size", region.block_size))
    node.append(fdt.PropWords(memory, phandle))
    return node
