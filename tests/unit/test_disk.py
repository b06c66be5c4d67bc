# SPDX-License-Identifier: MIT
"""A full disk is one error, however it shows."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from harness.core.disk import disk_full_as_error, reports_disk_full
from harness.core.errors import DiskFullError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_and_used_quota(number: int) -> None:
    full = pytest.raises(DiskFullError, match="the disk is full: /cache")
    with full as caught, disk_full_as_error(Path("/cache")):
        raise OSError(number, "")
    assert "MTE_HARNESS_CACHE" in caught.value.cure


def test_other_errors_pass() -> None:
    with pytest.raises(PermissionError), disk_full_as_error(Path("/cache")):
        raise PermissionError(errno.EACCES, "")


@pytest.mark.parametrize(
    ("output", "full"),
    [
        ("cc1: fatal error: write: No space left on device\n", True),
        ("cp: Disk quota exceeded\n", True),
        ("E: You don't have enough free space in /var/cache/apt/archives/.\n", True),
        ("E: Unable to locate package\n", False),
    ],
)
def test_messages_of_programs(output: str, full: bool) -> None:
    assert reports_disk_full(output) is full
