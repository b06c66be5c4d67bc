# SPDX-License-Identifier: MIT
"""A ready Image, packed or not, copied into the cache with the files of its build beside it."""

from __future__ import annotations

import mmap
import re
import shutil
from typing import TYPE_CHECKING

from harness.core.errors import ImageError
from harness.core.keys import file_digest, key_of
from harness.kernel.artifact import (
    CONFIG,
    IMAGE,
    SYSTEM_MAP,
    VMLINUX,
    load_kernel,
    write_meta,
)
from harness.kernel.config import parse_config
from harness.kernel.linux_image import inspect_image
from harness.kernel.packed_image import unpack_image

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.store import Store
    from harness.kernel.artifact import Kernel
    from harness.kernel.linux_image import ImageFacts


def adopt_image(path: Path, store: Store, name: str = "") -> Kernel:
    """Return the kernel of a ready Image, copied into ``store`` with the files beside it.

    It is copied because the user may build again while the tests run. ``name``: other than the
    file's. Raise ImageError.
    """
    image = unpack_image(path)
    facts = inspect_image(image, path)
    found = _companions(path, facts)
    config_text = facts.config
    if config_text is None and CONFIG in found:
        config_text = found[CONFIG].read_text(encoding="utf-8", errors="replace")
    if config_text is not None and parse_config(config_text).get("ARM64_MTE") != "y":
        raise ImageError(f"{path} is a kernel without MTE", "build it with CONFIG_ARM64_MTE=y")
    if SYSTEM_MAP in found:
        check_size(path, len(image), found[SYSTEM_MAP])

    def make(into: Path) -> None:
        (into / IMAGE).write_bytes(image)
        for kind, source in found.items():
            shutil.copyfile(source, into / kind)
        if config_text is not None:
            (into / CONFIG).write_text(config_text, encoding="utf-8")
        write_meta(into, {"release": facts.release, "lacking": []})

    key = key_of(
        {IMAGE: file_digest(path)} | {kind: _fingerprint(file) for kind, file in found.items()}
    )
    directory = store.obtain(key, make)
    beside = ", ".join(sorted(found)) or "nothing"
    return load_kernel(directory, name or path.name, f"{path} (beside it: {beside})")


def _companions(path: Path, facts: ImageFacts) -> dict[str, Path]:
    """Return the files of the same build: beside the Image, or in the places where kbuild has them.

    A vmlinux without the Image's banner belongs to another build, and is not used: it would decode
    splats wrongly.
    """
    places = [path.parent]
    if path.parts[-4:-1] == ("arch", "arm64", "boot"):
        places.append(path.parents[3])
    names = {VMLINUX: (VMLINUX,), SYSTEM_MAP: (SYSTEM_MAP,), CONFIG: (".config", CONFIG)}
    found = {}
    for kind, plain in names.items():
        # As distributions name them: config-6.12.118+deb13-arm64.
        spellings = (*plain, f"{kind}-{facts.release}")
        files = [place / name for place in places for name in spellings]
        first = next((file for file in files if file.is_file() and not _is_stub(file)), None)
        if first and (kind != VMLINUX or _contains(first, facts.banner)):
            found[kind] = first
    return found


def _is_stub(path: Path) -> bool:
    """Return whether a file is the one line that Debian's packages have for a System.map."""
    return b"The real System.map is in " in path.read_bytes()[:200]


def _contains(path: Path, needle: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(needle) >= 0


def _fingerprint(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def check_size(path: Path, size: int, system_map: Path) -> None:
    """Check the size of an Image in bytes against its System.map. Raise ImageError if it is short.

    objcopy writes the bytes from _text to _edata (arch/arm64/kernel/vmlinux.lds.S).
    """
    text = system_map.read_text(encoding="utf-8", errors="replace")
    symbols = {
        name: int(address, 16)
        for address, name in re.findall(r"^([0-9a-f]+) \w (_text|_edata)$", text, re.MULTILINE)
    }
    if symbols.keys() != {"_text", "_edata"}:
        raise ImageError(f"{system_map} does not describe a kernel", "remove it")
    whole = symbols["_edata"] - symbols["_text"]
    if size < whole:
        raise ImageError(
            f"{path} is truncated, or its System.map is of another build: {size} of {whole} bytes",
            "build or copy both again",
        )
