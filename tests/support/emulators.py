# SPDX-License-Identifier: MIT
"""The QEMU processes that this process, or one of its children, has started."""

from __future__ import annotations

import os
from pathlib import Path


def emulators() -> set[int]:
    """Return the process ids of every qemu-system-aarch64 that descends from this process."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:  # it has ended since
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
