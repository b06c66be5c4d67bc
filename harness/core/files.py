# SPDX-License-Identifier: MIT
"""A file that is replaced as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; a reader sees the old file or the new one, never half of one."""
    half = path.with_name(path.name + ".new")
    half.write_bytes(data)
    half.replace(path)
