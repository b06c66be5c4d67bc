# SPDX-License-Identifier: MIT
"""The QEMU binary: found, and new enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import QemuMissingError, QemuTooOldError
from harness.vm.qemu import Qemu, find_qemu, require_version

if TYPE_CHECKING:
    from collections.abc import Callable


def test_qemu_missing() -> None:
    with pytest.raises(QemuMissingError, match="no no-such-qemu"):
        find_qemu("no-such-qemu")


def test_qemu_version_is_read(shim: Callable[..., Path]) -> None:
    shim("qemu-system-aarch64", 'echo "QEMU emulator version 8.2.1 (Ubuntu 1:8.2)"')
    find_qemu.cache_clear()
    assert find_qemu().version == (8, 2, 1)
    assert find_qemu().banner == "QEMU 8.2.1 (Ubuntu 1:8.2)"
    find_qemu.cache_clear()


def test_qemu_too_old() -> None:
    def qemu(*version: int) -> Qemu:
        return Qemu(Path("/q"), (version[0], version[1], version[2]), "QEMU", "x")

    with pytest.raises(QemuTooOldError, match=r"8\.2 or newer"):
        require_version(qemu(7, 2, 22))
    require_version(qemu(8, 2, 0))
