# SPDX-License-Identifier: MIT
"""The modules that a guest needs, of a kernel whose drivers are modules.

They are loaded in the order of the ``depends`` of their .modinfo (include/linux/module.h).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.core.errors import ImageError
from harness.kernel.packed_image import unpack_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# What the guest needs before it has a root file system, and what probes need (zram), each with its
# symbol. ext4 asks for a crypto algorithm by its name, which no `depends` says (MODULE_SOFTDEP,
# 6.12).
MODULES = {
    "virtio_pci": "VIRTIO_PCI",
    "virtio_mmio": "VIRTIO_MMIO",
    "virtio_blk": "VIRTIO_BLK",
    "virtio_net": "VIRTIO_NET",
    "virtio_rng": "HW_RANDOM_VIRTIO",
    "crc32c_generic": "CRYPTO_CRC32C",
    "ext4": "EXT4_FS",
    "zram": "ZRAM",
}
# Its file has another name in later kernels, whose ext4 does without it.
_MAY_LACK = "crc32c_generic"


def required_modules(config: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the modules that a kernel with this .config must have for a guest.

    ``config`` is symbol -> value.
    """
    return tuple(
        name for name, symbol in MODULES.items() if config.get(symbol) == "m" and name != _MAY_LACK
    )


def guest_modules(directory: Path, config: Mapping[str, str] | None) -> list[bytes]:
    """Return the ELF files of the modules that a guest needs, in loading order.

    ``directory`` is lib/modules/VERSION. What the .config has built in is left out, even if a
    module of an older build is there; without a .config, each one that is there is needed.
    Raise ImageError for a module that is missing or damaged.
    """
    modules = find_modules(directory)
    if config is None:
        return load_order(MODULES, modules)
    lacking = [name for name in required_modules(config) if name not in modules]
    if lacking:
        symbol = f"CONFIG_{MODULES[lacking[0]]}"
        raise ImageError(
            f"{directory} has no {lacking[0]}.ko, and the kernel has {symbol}=m",
            "install all modules of the kernel there",
        )
    return load_order((name for name in MODULES if config.get(MODULES[name]) == "m"), modules)


def find_modules(directory: Path) -> dict[str, Path]:
    """Return the kernel's own modules in lib/modules/VERSION by name, as in /proc/modules."""
    return {
        path.name.partition(".ko")[0].replace("-", "_"): path
        for pattern in ("*.ko", "*.ko.gz", "*.ko.xz", "*.ko.zst")
        for path in (directory / "kernel").rglob(pattern)
    }


def load_order(wanted: Iterable[str], modules: Mapping[str, Path]) -> list[bytes]:
    """Return the ELF files of ``wanted`` and of all that they depend on, in loading order.

    A wanted module that does not exist is left out: the driver is built in. Raise ImageError
    for a damaged module, or one whose dependency is missing.
    """
    loaded: dict[str, bytes] = {}

    def add(name: str, above: str) -> None:
        if name in loaded:
            return
        if name not in modules:
            raise ImageError(f"the module {above} needs {name}, which is not there")
        data = unpack_file(modules[name])
        for other in _depends(data, modules[name]):
            add(other, name)
        loaded[name] = data

    for name in wanted:
        if name in modules:
            add(name, "")
    return list(loaded.values())


def _depends(data: bytes, path: Path) -> list[str]:
    try:
        section = ELFFile(io.BytesIO(data)).get_section_by_name(".modinfo")
    except ELFError as error:
        raise ImageError(f"{path} is no kernel module: {error}") from error
    words = section.data().split(b"\0") if section else []
    found = [word[len(b"depends=") :] for word in words if word.startswith(b"depends=")]
    names = b",".join(found).decode(errors="replace").split(",")
    return [name.replace("-", "_") for name in names if name]
