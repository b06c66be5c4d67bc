# SPDX-License-Identifier: MIT
"""A ready Image, packed or not, with the files of its build: read, and copied into the cache."""

from __future__ import annotations

import hashlib
import mmap
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import ImageError
from harness.core.keys import file_digest, key_of
from harness.kernel.artifact import (
    CONFIG,
    IMAGE,
    INITRAMFS,
    SYSTEM_MAP,
    VMLINUX,
    load_kernel,
    write_meta,
)
from harness.kernel.config import parse_config
from harness.kernel.initramfs import build_initramfs, compile_init
from harness.kernel.installed import is_elf, modules_of, symbols_of
from harness.kernel.linux_image import inspect_image
from harness.kernel.modules import guest_modules, required_modules
from harness.kernel.packed_image import unpack_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.core.store import Store
    from harness.kernel.artifact import Kernel
    from harness.kernel.linux_image import ImageFacts


@dataclass(frozen=True)
class ReadyKernel:
    """A kernel that someone built: the bytes of its Image, and what lies with it.

    ``config`` is the text of its .config, None if it has none; ``files`` are the other files of its
    build, by their name in the cache; ``modules`` the ELF files of the modules that a guest needs,
    in loading order; ``missing`` the names of those that are nowhere.
    """

    image: bytes
    facts: ImageFacts
    config: str | None
    files: Mapping[str, Path]
    modules: list[bytes]
    missing: tuple[str, ...]

    def write(self, into: Path, init: Path | None) -> None:
        """Write the files into an entry of the cache; ``init`` is the program of the initramfs."""
        (into / IMAGE).write_bytes(self.image)
        for name, source in self.files.items():
            shutil.copyfile(source, into / name)
        if self.config is not None:
            (into / CONFIG).write_text(self.config, encoding="utf-8")
        if init is not None:
            (into / INITRAMFS).write_bytes(build_initramfs(init.read_bytes(), self.modules))
        write_meta(into, {"release": self.facts.release, "lacking": []})


def adopt_image(path: Path, builds: Store, programs: Store, name: str = "") -> Kernel:
    """Return the kernel of a ready Image, copied into ``builds`` with the files of its build.

    It is copied because the user may build again while the tests run. ``programs`` has the init
    that loads its modules. ``name``: other than the file's. Raise ImageError.
    """
    ready = read_kernel(path)
    parts = {IMAGE: file_digest(path)}
    parts |= {name: fingerprint(file) for name, file in ready.files.items()}
    if ready.config is not None:
        parts[CONFIG] = hashlib.sha256(ready.config.encode()).hexdigest()
    init = compile_init(programs) if ready.modules else None
    if init is not None:
        data = [
            file_digest(init),
            *(hashlib.sha256(module).hexdigest() for module in ready.modules),
        ]
        parts[INITRAMFS] = " ".join(data)
    own = path.name if path.name != "vmlinuz" else f"vmlinuz-{ready.facts.release}"
    directory = builds.obtain(key_of(parts), lambda into: ready.write(into, init))
    beside = ", ".join([*sorted(ready.files), *(["modules"] if ready.modules else [])])
    return load_kernel(directory, name or own, f"{path} (with it: {beside or 'nothing'})")


def read_kernel(path: Path) -> ReadyKernel:
    """Return the kernel in the file ``path``, with what lies with it. Raise ImageError."""
    image = unpack_file(path)
    facts = inspect_image(image, path)
    try:
        found = _companions(path, facts)
        config = facts.config
        if CONFIG in found:
            beside = found.pop(CONFIG).read_text(encoding="utf-8", errors="replace")
            config = beside if config is None else config
        if SYSTEM_MAP in found:
            check_size(path, len(image), found[SYSTEM_MAP])
    except OSError as error:
        raise ImageError(f"{error.filename} cannot be read: {error.strerror}") from error
    values = None
    if config is not None:
        values = _parse(config, path)
        if values.get("ARM64_MTE") != "y":
            raise ImageError(f"{path} is a kernel without MTE", "build it with CONFIG_ARM64_MTE=y")
    places = [place for place in modules_of(path, facts.release) if (place / "kernel").is_dir()]
    modules = guest_modules(places[0], values) if places else []
    missing = () if places or values is None else required_modules(values)
    return ReadyKernel(image, facts, config, found, modules, missing)


def _parse(config: str, path: Path) -> dict[str, str]:
    try:
        return parse_config(config)
    except ValueError as error:
        raise ImageError(f"the .config of {path} is damaged: {error}") from error


def _companions(path: Path, facts: ImageFacts) -> dict[str, Path]:
    """Return the files of the same build: beside the Image, or where kbuild or packages have them.

    A vmlinux without the Image's banner belongs to another build, and is not used: it would decode
    splats wrongly.
    """
    places = [path.parent]
    if path.parts[-4:-1] == ("arch", "arm64", "boot"):
        places.append(path.parents[3])
    places += modules_of(path, facts.release)
    debug = symbols_of(path, facts.release)
    names = {VMLINUX: (VMLINUX,), SYSTEM_MAP: (SYSTEM_MAP,), CONFIG: (".config", CONFIG)}
    found = {}
    for kind, plain in names.items():
        # As distributions name them: config-6.12.118+deb13-arm64.
        spellings = (*plain, f"{kind}-{facts.release}")
        where = (*places, *debug) if kind == VMLINUX else places
        files = [place / name for place in where for name in spellings]
        first = next((file for file in files if file.is_file() and not _is_stub(file)), None)
        if first and (kind != VMLINUX or is_vmlinux(first, facts.banner)):
            found[kind] = first
    return found


def _is_stub(path: Path) -> bool:
    """Return whether a file is the one line that Debian's packages have for a System.map."""
    with path.open("rb") as stream:
        return b"The real System.map is in " in stream.read(200)


def is_vmlinux(path: Path, banner: bytes) -> bool:
    """Return whether ``path`` is the vmlinux of the Image with this ``banner``."""
    if not is_elf(path):
        return False
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(banner) >= 0


def fingerprint(path: Path) -> str:
    """Return what changes when a file does: its size in bytes and its mtime in ns."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


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
