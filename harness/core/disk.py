# SPDX-License-Identifier: MIT
"""A full disk, or a quota that is used up, as one error with one cure.

Standard library only: host/ uses it before the virtual environment exists.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from harness.core.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CURE = "free some room (mte-harness clean), or set MTE_HARNESS_CACHE or TMPDIR to a larger disk"

# strerror(3) of ENOSPC and EDQUOT with LC_ALL=C, and apt-get's own check before a download.
_REPORTS = (
    "No space left on device",
    "Disk quota exceeded",
    "You don't have enough free space",
)


def disk_full(place: Path | str, details: str = "") -> DiskFullError:
    """Return the error for a full disk; ``place`` is a path, or a message that names one."""
    return DiskFullError(f"the disk is full: {place}", CURE, details)


@contextlib.contextmanager
def disk_full_as_error(place: Path) -> Iterator[None]:
    """Turn an OSError with ENOSPC or EDQUOT that is raised inside into DiskFullError."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise disk_full(place) from error


def is_disk_full(error: OSError) -> bool:
    """Return whether ``error`` is ENOSPC or EDQUOT."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def reports_disk_full(output: str) -> bool:
    """Return whether the output of a program, run with LC_ALL=C, reports a full disk."""
    return any(report in output for report in _REPORTS)
