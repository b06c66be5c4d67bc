# SPDX-License-Identifier: MIT
"""A file that is replaced as a whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; a reader sees the old file or the new one, never half of one.

    Nor does one after a power cut: a new name may come to the disk before the data do. Raise
    OSError, with the old file as it was and nothing left beside it.
    """
    half = path.with_name(path.name + ".new")
    try:
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
