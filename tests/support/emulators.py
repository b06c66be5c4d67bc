# SPDX-License-Identifier: MIT
"""The QEMU processes that this process, or one of its children, has started."""

from __future__ import annotations

import os
from pathlib import Path


def emulators() -> set[int]:
    """Return the process ids of every qemu-system-aarch64 that descends from this process."""
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
