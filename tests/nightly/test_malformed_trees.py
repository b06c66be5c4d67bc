# SPDX-License-Identifier: MIT
"""Malformed descriptions of tag storage: the kernel boots, logs the reason, and reuses nothing.

``arch/arm64/mm/mte_tag_storage.c``, mte_tag_storage_init().
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import cache_root
from harness.core.store import Store
from harness.guest.template import obtain_template
from harness.suite.target import parse_target
from harness.verdict.splat import find_splats
from harness.vm.device_tree import compile_source, decompile
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.guest.guest import Guest
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

KERNEL = "tag-storage"
MACHINE = "dram/tag-storage"
STORAGE = "&{/reserved-memory/tag-storage@78000000}"
RAM = "&{/ram@40000000}"
STORAGE_PAGES = 8192
NOT_REUSED = "mte: tag storage: not reused"


def storage(properties: str) -> str:
    """Change the node of the tag storage."""
    return f"{STORAGE} {{ {properties} }};"


def memory(start: int, size: int) -> str:
    """Change the node of the tagged memory."""
    return f"{RAM} {{ {reg((start, size))} }};"


def reg(*ranges: tuple[int, int]) -> str:
    cells = " ".join(f"{start:#x} {size:#x}" for start, size in ranges)
    return f"reg = /bits/ 64 <{cells}>;"


def without(name: str) -> str:
    return storage(f"/delete-property/ {name};")


def other_storage(start: int, size: int, tagged: str) -> str:
    """Add a second description of tag storage, for the memory node ``tagged``."""
    return f"""
        &{{/reserved-memory}} {{
            tag-storage@{start:x} {{
                compatible = "arm,mte-tag-storage";
                {reg((start, size))}
                block-size = <4096>;
                tagged-memory = <{tagged}>;
                reusable;
            }};
        }};"""


OTHER_MEMORY = f"""
    &{{/}} {{
        ram@60000000 {{ device_type = "memory"; {reg((0x60000000, 0x20000000))} }};
    }};"""
OUTSIDE_RESERVED_MEMORY = f"""
    /delete-node/ {STORAGE};
    &{{/}} {{
        tag-storage@78000000 {{
            compatible = "arm,mte-tag-storage";
            {reg((0x78000000, 0x2000000))}
            block-size = <4096>;
            tagged-memory = <{RAM}>;
            reusable;
        }};
    }};"""
FIRMWARE_BUFFER = f"""
    &{{/reserved-memory}} {{
        firmware@79000000 {{ {reg((0x79000000, 0x100000))} }};
    }};"""


@dataclass(frozen=True)
class Malformed:
    """``source`` is appended to a correct tree's; the kernel has to log ``reason``."""

    name: str
    source: str
    reason: str


TREES = [
    Malformed("no_reg", without("reg"), "it is not reserved memory"),
    Malformed(
        "two_ranges",
        storage(reg((0x78000000, 0x1000000), (0x79000000, 0x1000000))),
        "more than one reg",
    ),
    Malformed("odd_reg", storage(reg((0x78000000, 0x1FFFF00))), "is not page aligned"),
    Malformed("not_reusable", without("reusable"), "it is not reusable"),
    Malformed("no_block_size", without("block-size"), "no valid block-size"),
    Malformed("block_of_three_pages", storage("block-size = <0x3000>;"), "no valid block-size"),
    Malformed("huge_block", storage("block-size = <0x200000>;"), "no valid block-size"),
    Malformed("block_size_zero", storage("block-size = <0>;"), "no valid block-size"),
    Malformed("no_tagged_memory", without("tagged-memory"), "tagged-memory is not a memory node"),
    Malformed(
        "dangling_phandle",
        storage("tagged-memory = <0x7777>;"),
        "tagged-memory is not a memory node",
    ),
    Malformed(
        "memory_of_two_ranges",
        f"{RAM} {{ {reg((0x40000000, 0x20000000), (0x60000000, 0x20000000))} }};",
        "more than one tagged memory",
    ),
    Malformed("too_small", storage(reg((0x78000000, 0x1000000))), "its size does not fit"),
    Malformed("too_large", memory(0x40000000, 0x30000000), "its size does not fit"),
    Malformed("not_in_dram", storage(reg((0x90000000, 0x2000000))), "of it is not memory"),
    Malformed("not_aligned", storage(reg((0x78010000, 0x2000000))), "it is not aligned"),
    Malformed(
        "memory_not_aligned",
        storage(reg((0x78000000, 0x1000000))) + memory(0x40010000, 0x20000000),
        "it is not aligned",
    ),
    Malformed("no_map", storage("no-map;"), "is not memory"),
    Malformed("outside_reserved_memory", OUTSIDE_RESERVED_MEMORY, "it is not reserved memory"),
    Malformed(
        "second_storage", other_storage(0x70000000, 0x2000000, RAM), "it overlaps with another"
    ),
    Malformed(
        "overlapping_storage",
        storage(reg((0x78000000, 0x1000000)))
        + memory(0x40000000, 0x20000000)
        + OTHER_MEMORY
        + other_storage(0x78800000, 0x1000000, "&{/ram@60000000}"),
        "it overlaps with",
    ),
    Malformed("buffer_in_storage", FIRMWARE_BUFFER, "it overlaps with"),
    Malformed("over_the_kernel", storage(reg((0x40000000, 0x2000000))), "was loaded there"),
]


def boot(launch: Launcher, session: Session, directory: Path, name: str, source: str) -> Guest:
    """Return a guest with a changed device tree; its template goes into ``directory``."""
    correct = session.machine(find_machine(MACHINE))
    assert correct.device_tree
    seconds = session.limits.host_tool
    text = decompile(correct.device_tree.read_bytes(), seconds)
    blob = directory / "malformed.dtb"
    blob.write_bytes(compile_source(text + source, seconds))
    spec = dataclasses.replace(correct.spec, name=f"{MACHINE} ({name})")
    machine = dataclasses.replace(correct, spec=spec, device_tree=blob)
    store = Store(directory, "templates", session.progress)
    kernel = session.kernel_of(parse_target(KERNEL, None))
    return launch(obtain_template(store, machine, kernel, session.image))


def counters(guest: Guest) -> dict[str, int]:
    """Return MemTotal and the counters of tag storage, in kB."""
    text = guest.exec("cat /proc/meminfo").stdout
    return {
        name: int(value)
        for name, value in re.findall(r"^(Mem\w*|Metadata\w*): +(\d+) kB", text, re.M)
    }


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a directory that is removed at once: pytest keeps its own, and a template is large."""
    with tempfile.TemporaryDirectory(prefix="mte-harness-tree-", dir=cache_root()) as name:
        yield Path(name)


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
def test_malformed_tree(
    tree: Malformed, launch: Launcher, harness_session: Session, place: Path
) -> None:
    """The kernel boots without a splat, logs what is wrong, and reuses none of the storage."""
    with boot(launch, harness_session, place, tree.name, tree.source) as guest:
        log = guest.exec("dmesg").stdout
        about_storage = [line for line in log.splitlines() if "tag storage" in line]
        assert any(tree.reason in line for line in about_storage), about_storage
        assert any(NOT_REUSED in line for line in about_storage), about_storage
        assert counters(guest)["MetadataTotal"] == 0
        assert not find_splats(log)
        assert guest.exec("cat /proc/sys/kernel/tainted").stdout.split() == ["0"]


def test_the_unchanged_tree_is_accepted(
    launch: Launcher, harness_session: Session, place: Path
) -> None:
    with boot(launch, harness_session, place, "none", "") as guest:
        assert counters(guest)["MetadataTotal"] == 4 * STORAGE_PAGES
