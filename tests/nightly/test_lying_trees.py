# SPDX-License-Identifier: MIT
"""Device trees that describe tag storage wrongly: the kernel boots, says why, and reuses nothing.

``arch/arm64/mm/mte_tag_storage.c``, mte_tag_storage_init().
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fdt
import pytest

from harness.core.paths import cache_root
from harness.core.store import Store
from harness.guest.template import obtain_template
from harness.suite.target import parse_target
from harness.verdict.splat import find_splats
from harness.vm.device_tree import COMPATIBLE
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.guest.guest import Guest
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

KERNEL = "tag-storage"
HONEST = "dram/tag-storage"
NODE = "/reserved-memory/tag-storage@78000000"
RAM = "/ram@40000000"
STORAGE_PAGES = 8192
NOT_REUSED = "mte: tag storage: not reused"


def reg(start: int, size: int) -> tuple[int, ...]:
    """The cells of one range."""
    return start >> 32, start & 0xFFFFFFFF, size >> 32, size & 0xFFFFFFFF


def words(path: str, name: str, *cells: int) -> Callable[[fdt.FDT], None]:
    """A lie in one property."""

    def lie(tree: fdt.FDT) -> None:
        node = tree.get_node(path)
        node.remove_property(name)
        node.append(fdt.PropWords(name, *cells))

    return lie


def without(name: str) -> Callable[[fdt.FDT], None]:
    """A property that is not there."""
    return lambda tree: tree.get_node(NODE).remove_property(name)


def both(*lies: Callable[[fdt.FDT], None]) -> Callable[[fdt.FDT], None]:
    """Several lies."""

    def lie(tree: fdt.FDT) -> None:
        for tell in lies:
            tell(tree)

    return lie


def other_storage(start: int, size: int, memory: str | None = None) -> Callable[[fdt.FDT], None]:
    """A second description, of storage elsewhere, for the same memory or another node's."""

    def lie(tree: fdt.FDT) -> None:
        phandle = tree.get_node(RAM).get_property("phandle").value
        if memory:
            ram = fdt.Node(memory)
            ram.append(fdt.PropStrings("device_type", "memory"))
            ram.append(fdt.PropWords("reg", *reg(int(memory.partition("@")[2], 16), size * 32)))
            phandle += 100
            ram.append(fdt.PropWords("phandle", phandle))
            tree.add_item(ram, "/")
        node = fdt.Node(f"tag-storage@{start:x}")
        node.append(fdt.PropStrings("compatible", COMPATIBLE))
        node.append(fdt.PropWords("reg", *reg(start, size)))
        node.append(fdt.PropWords("block-size", 4096))
        node.append(fdt.PropWords("tagged-memory", phandle))
        node.append(fdt.Property("reusable"))
        tree.add_item(node, "/reserved-memory")

    return lie


def outside_reserved_memory(tree: fdt.FDT) -> None:
    """The node is a child of the root."""
    node = tree.get_node(NODE)
    tree.remove_node("tag-storage@78000000", "/reserved-memory")
    tree.add_item(node, "/")


def also_reserved_for_another(tree: fdt.FDT) -> None:
    """A firmware's buffer in the middle of it."""
    node = fdt.Node("firmware@79000000")
    node.append(fdt.PropWords("reg", *reg(0x79000000, 0x100000)))
    tree.add_item(node, "/reserved-memory")


@dataclass(frozen=True)
class Lie:
    """``tell`` spoils an honest tree; the kernel has to say ``reason``."""

    name: str
    tell: Callable[[fdt.FDT], None]
    reason: str


LIES = [
    Lie("no_reg", without("reg"), "it is not reserved memory"),
    Lie(
        "two_ranges",
        words(NODE, "reg", *reg(0x78000000, 0x1000000), *reg(0x79000000, 0x1000000)),
        "more than one reg",
    ),
    Lie("odd_reg", words(NODE, "reg", *reg(0x78000000, 0x1FFFF00)), "is not page aligned"),
    Lie("not_reusable", without("reusable"), "it is not reusable"),
    Lie("no_block_size", without("block-size"), "no valid block-size"),
    Lie("block_of_three_pages", words(NODE, "block-size", 0x3000), "no valid block-size"),
    Lie("huge_block", words(NODE, "block-size", 0x200000), "no valid block-size"),
    Lie("block_size_zero", words(NODE, "block-size", 0), "no valid block-size"),
    Lie("no_tagged_memory", without("tagged-memory"), "tagged-memory is not a memory node"),
    Lie(
        "dangling_phandle",
        words(NODE, "tagged-memory", 0x7777),
        "tagged-memory is not a memory node",
    ),
    Lie(
        "memory_of_two_ranges",
        words(RAM, "reg", *reg(0x40000000, 0x20000000), *reg(0x60000000, 0x20000000)),
        "more than one tagged memory",
    ),
    Lie("too_small", words(NODE, "reg", *reg(0x78000000, 0x1000000)), "its size does not fit"),
    Lie("too_large", words(RAM, "reg", *reg(0x40000000, 0x30000000)), "its size does not fit"),
    Lie("not_in_dram", words(NODE, "reg", *reg(0x90000000, 0x2000000)), "of it is not memory"),
    Lie("not_aligned", words(NODE, "reg", *reg(0x78010000, 0x2000000)), "it is not aligned"),
    Lie(
        "memory_not_aligned",
        both(
            words(NODE, "reg", *reg(0x78000000, 0x1000000)),
            words(RAM, "reg", *reg(0x40010000, 0x20000000)),
        ),
        "it is not aligned",
    ),
    Lie("no_map", lambda tree: tree.get_node(NODE).append(fdt.Property("no-map")), "is not memory"),
    Lie("outside_reserved_memory", outside_reserved_memory, "it is not reserved memory"),
    Lie("second_storage", other_storage(0x70000000, 0x2000000), "it overlaps with another"),
    Lie(
        "overlapping_storage",
        both(
            words(NODE, "reg", *reg(0x78000000, 0x1000000)),
            words(RAM, "reg", *reg(0x40000000, 0x20000000)),
            other_storage(0x78800000, 0x1000000, "ram@60000000"),
        ),
        "it overlaps with",
    ),
    Lie("anothers_memory", also_reserved_for_another, "it overlaps with"),
    Lie("over_the_kernel", words(NODE, "reg", *reg(0x40000000, 0x2000000)), "was loaded there"),
]


def boot(
    launch: Launcher, session: Session, directory: Path, name: str, tell: Callable[[fdt.FDT], None]
) -> Guest:
    """A guest whose device tree is spoilt; its template goes where it is not kept."""
    spec = find_machine(HONEST)
    honest = session.machine(spec)
    assert honest.device_tree
    tree = fdt.parse_dtb(honest.device_tree.read_bytes())
    tell(tree)
    blob = directory / "lie.dtb"
    blob.write_bytes(tree.to_dtb(version=17))
    liar = dataclasses.replace(spec, name=f"{HONEST} ({name})")
    machine = dataclasses.replace(honest, spec=liar, device_tree=blob)
    store = Store(directory, "templates", session.progress)
    kernel = session.kernel(parse_target(KERNEL, None).kernel)
    return launch(obtain_template(store, machine, kernel, session.image))


def counters(guest: Guest) -> dict[str, int]:
    """MemTotal and the counters of tag storage, in kB."""
    text = guest.exec("cat /proc/meminfo").stdout
    return {
        name: int(value)
        for name, value in re.findall(r"^(Mem\w*|Metadata\w*): +(\d+) kB", text, re.M)
    }


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that goes at once: pytest keeps its own, and a saved guest is large."""
    with tempfile.TemporaryDirectory(prefix="mte-harness-lie-", dir=cache_root()) as name:
        yield Path(name)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_is_found(lie: Lie, launch: Launcher, harness_session: Session, place: Path) -> None:
    """It boots without a splat, says what is wrong, and uses none of the storage."""
    with boot(launch, harness_session, place, lie.name, lie.tell) as guest:
        log = guest.exec("dmesg").stdout
        said = [line for line in log.splitlines() if "tag storage" in line]
        assert any(lie.reason in line for line in said), said
        assert any(NOT_REUSED in line for line in said), said
        assert counters(guest)["MetadataTotal"] == 0
        assert not find_splats(log)
        assert guest.exec("cat /proc/sys/kernel/tainted").stdout.split() == ["0"]


def test_the_honest_tree_is_believed(
    launch: Launcher, harness_session: Session, place: Path
) -> None:
    with boot(launch, harness_session, place, "none", lambda _tree: None) as guest:
        assert counters(guest)["MetadataTotal"] == 4 * STORAGE_PAGES
