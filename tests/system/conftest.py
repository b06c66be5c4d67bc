# SPDX-License-Identifier: MIT
"""The harness under fire: real QEMU, real kernels, and everything that can go wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def emulators() -> set[int]:
    """Process ids of every qemu-system-aarch64 that is a descendant of this process."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        number, rest = text.split(" (", 1)
        name, fields = rest.rsplit(") ", 1)
        parents[int(number)] = int(fields.split()[1])
        names[int(number)] = name
    found = set()
    for pid, name in names.items():
        ancestor = pid
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if name.startswith("qemu-system") and ancestor == os.getpid():
            found.add(pid)
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No test leaves an emulator or a temporary directory of the harness."""
    before = emulators()
    yield
    assert emulators() <= before
