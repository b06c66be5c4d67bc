# SPDX-License-Identifier: MIT
"""An initramfs that loads the modules which a guest needs before it has a root file system.

Format: Documentation/driver-api/early-userspace/buffer-format.rst ("newc" cpio).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.cross import AGENT_FLAGS, compile_program
from harness.core.paths import resources

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.core.store import Store

INIT = resources() / "guest" / "initramfs.c"

_DIRECTORY = 0o040755
_FILE = 0o100755
_CONSOLE = (5, 1)  # Documentation/admin-guide/devices.txt
_DEVICE = 0o020600


def compile_init(programs: Store) -> Path:
    """Return the program of the initramfs, guest/initramfs.c. Raise CompilerMissingError."""
    return compile_program(programs, [INIT], AGENT_FLAGS)


def build_initramfs(init: bytes, modules: Iterable[bytes]) -> bytes:
    """Return a cpio archive with ``init`` (guest/initramfs.c) and the modules as /0.ko, …"""
    archive = bytearray()
    for name in ("dev", "root"):
        archive += _entry(name, _DIRECTORY)
    archive += _entry("dev/console", _DEVICE, device=_CONSOLE)
    archive += _entry("init", _FILE, init)
    for number, module in enumerate(modules):
        archive += _entry(f"{number}.ko", _FILE, module)
    return bytes(archive + _entry("TRAILER!!!", 0))


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    # ino, mode, uid, gid, nlink, mtime, size, devmajor, devminor, rdevmajor, rdevminor, namesize,
    # check: eight hexadecimal digits each. Name and data are padded to four bytes.
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(head + name.encode() + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
