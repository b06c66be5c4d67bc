# SPDX-License-Identifier: MIT
"""Removes old builds of a source directory, so that frequent edits do not fill the disk."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from harness.kernel.artifact import META

if TYPE_CHECKING:
    from pathlib import Path

KEEP = 8
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


def _unused(build: Path) -> bool:
    meta = build / META
    return not meta.exists() or time.time() - meta.stat().st_mtime > UNUSED_S
