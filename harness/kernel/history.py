# SPDX-License-Identifier: MIT
"""Removes old builds of a source directory, so that frequent builds do not fill the disk."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from harness.kernel.artifact import META

if TYPE_CHECKING:
    from pathlib import Path

KEEP = 8
KEEP_OBJECTS = 4  # of as many configurations and compilers, 1 to 5 GB each
UNUSED_S = 24 * 3600.0  # a build that was used within this time may still have guests


def remember_build(home: Path, build: Path) -> list[Path]:
    """Record that ``build`` was made from the mirror ``home``; return the old builds removed.

    The newest KEEP stay, and those used within UNUSED_S. The caller holds the lock on ``home``.
    """
    record = home / "builds"
    known = record.read_text(encoding="utf-8").split() if record.exists() else []
    keys = [build.name, *(key for key in known if key != build.name)]
    old = [build.parent / key for key in keys[KEEP:]]
    removed = [path for path in old if _unused(path)]
    for path in removed:
        shutil.rmtree(path, ignore_errors=True)
    kept = [key for key in keys if build.parent / key not in removed]
    if kept != known:
        record.write_text("\n".join(kept), encoding="utf-8")
    return removed


def prune_objects(tree: Path, prefix: str) -> list[Path]:
    """Remove old object directories of a mirror, ``tree``; return those removed.

    They are named ``prefix``…; the KEEP_OBJECTS that were built in last stay. ccache has most of
    the objects of the others. The caller holds the lock on the mirror.
    """
    found = sorted(tree.glob(f"{prefix}*"), key=lambda path: path.stat().st_mtime_ns)
    for path in found[:-KEEP_OBJECTS]:
        shutil.rmtree(path, ignore_errors=True)
    return found[:-KEEP_OBJECTS]


def _unused(build: Path) -> bool:
    meta = build / META
    return not meta.exists() or time.time() - meta.stat().st_mtime > UNUSED_S
