# SPDX-License-Identifier: MIT
"""Where the files of an installed kernel lie, in a root file system or an unpacked package.

Debian and Ubuntu: /boot/vmlinuz-VERSION, /boot/config-VERSION and /usr/lib/modules/VERSION, where
also vmlinuz and config are since Debian's 7.0 (and in Fedora). `make install` calls an Image that
is not packed vmlinux-VERSION (arch/arm64/boot/install.sh). Debug symbols:
scripts/package/builddeb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODULES = ("usr/lib/modules", "lib/modules")
# Where a version is in two places, the last one counts.
_IMAGES = (
    *(f"{top}/*/vmlinuz" for top in MODULES),
    "vmlinuz", "vmlinuz-*", "boot/vmlinux-*", "boot/vmlinuz-*",
)  # fmt: skip
_SYMBOLS = ("boot", *MODULES)  # below usr/lib/debug
_ELF = b"\x7fELF"
_OLD = (".old", ".bak")  # the file before, which `make install` keeps


def installed_images(directory: Path) -> dict[str, Path]:
    """Return the kernels in ``directory`` by version, which is that of their file's name.

    ``directory`` is a root file system, an unpacked package, its boot directory, or its
    lib/modules/VERSION.
    """
    found = {}
    for pattern in _IMAGES:
        for path in sorted(directory.glob(pattern)):
            version = path.parent.name if _is_below_modules(path) else path.name.partition("-")[2]
            if version and path.suffix not in _OLD and path.is_file() and not is_elf(path):
                found[version] = path
    return found


def modules_of(image: Path, release: str) -> tuple[Path, ...]:
    """Return the directories that may hold the modules of ``image``: lib/modules/RELEASE."""
    if _is_below_modules(image):
        return (image.parent,) if image.parent.name == release else ()
    return tuple(image.parent.parent / top / release for top in MODULES)


def symbols_of(image: Path, release: str) -> tuple[Path, ...]:
    """Return the directories that may hold the vmlinux of ``image`` once a -dbg package is there.

    They are below the root file system's usr/lib/debug.
    """
    top = image.parent.parent
    if _is_below_modules(image):
        top = top.parents[2] if top.parent.parent.name == "usr" else top.parents[1]
    debug = top / "usr/lib/debug"
    return tuple(debug / place / (release if place in MODULES else "") for place in _SYMBOLS)


def _is_below_modules(image: Path) -> bool:
    return image.parent.parent.name == "modules"


def is_elf(path: Path) -> bool:
    """Return whether a file is an ELF file, as a vmlinux is and an Image is not."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_ELF)) == _ELF
    except OSError:
        return False
