# SPDX-License-Identifier: MIT
"""An initramfs that loads the modules which a guest needs before it has a root file system.

Formats: Documentation/driver-api/early-userspace/buffer-format.rst ("newc" cpio), and the
``depends`` of a module's .modinfo (include/linux/module.h).
"""

from __future__ import annotations

import io
import lzma
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_DIRECTORY = 0o040755
_FILE = 0o100755
_CONSOLE = (5, 1)  # Documentation/admin-guide/devices.txt
_DEVICE = 0o020600


def find_modules(tree: Path) -> dict[str, Path]:
    """Return the module files below ``tree`` by the module's name, as in /proc/modules."""
    return {
        path.name.partition(".ko")[0].replace("-", "_"): path
        for pattern in ("*.ko", "*.ko.xz")
        for path in tree.rglob(pattern)
    }


def load_order(wanted: Iterable[str], modules: Mapping[str, Path]) -> list[bytes]:
    """Return the ELF files of ``wanted`` and of all that they depend on, in loading order.

    A wanted module that does not exist is left out: the driver is built in. Raise ArtifactError
    for a damaged module, or one whose dependency is missing.
    """
    loaded: dict[str, bytes] = {}

    def add(name: str, above: str) -> None:
        if name in loaded:
            return
        if name not in modules:
            raise ArtifactError(f"the module {above} needs {name}, which is not there")
        data = _read(modules[name])
        for other in _depends(data, modules[name]):
            add(other, name)
        loaded[name] = data

    for name in wanted:
        if name in modules:
            add(name, "")
    return list(loaded.values())


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".xz":
        return data
    try:
        return lzma.decompress(data)
    except lzma.LZMAError as error:
        raise ArtifactError(f"{path.name} is damaged: {error}") from error


def _depends(data: bytes, path: Path) -> list[str]:
    try:
        section = ELFFile(io.BytesIO(data)).get_section_by_name(".modinfo")
    except ELFError as error:
        raise ArtifactError(f"{path.name} is no kernel module: {error}") from error
    words = section.data().split(b"\0") if section else []
    found = [word[len(b"depends=") :] for word in words if word.startswith(b"depends=")]
    names = b",".join(found).decode(errors="replace").split(",")
    return [name.replace("-", "_") for name in names if name]


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
