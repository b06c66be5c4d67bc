# SPDX-License-Identifier: MIT
"""Built kernels that travel: a directory with what other hosts need to run guests of them.

Below it are entries of the cache under their own kinds and keys (``builds/KEY``, ``selftests/KEY``,
``symbols/KEY``, ``images/KEY``), and for each kernel one ``kernel-….json`` that lists their files
with hashes. It is written last, so a kernel that is listed is whole. Several hosts may write to one
directory at once. A bundle is to be trusted like the host that made it: its entries go into the
cache under keys that say what they were made from, not what they contain.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cattrs import BaseValidationError, transform_error

from harness.core.disk import disk_full_as_error
from harness.core.errors import ArtifactError, UsageError
from harness.core.files import replace_file
from harness.core.keys import content_key, file_digest
from harness.core.store import Store
from harness.core.structure import strict_converter
from harness.kernel.artifact import Kernel, load_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.progress import Progress

SCHEMA = 1
KINDS = ("builds", "selftests", "symbols", "images")
_AGAIN = "make it again: mte-harness bundle"
_CHUNK = 1 << 16  # bytes
_CONVERTER = strict_converter()


@dataclass(frozen=True)
class Part:
    """An entry of the cache: its kind and key, and its files by path with their SHA-256."""

    kind: str
    key: str
    files: dict[str, str]

    def __post_init__(self) -> None:
        """Refuse names that would leave the directory. Raise ValueError."""
        if self.kind not in KINDS or not re.fullmatch(r"[0-9a-f]{16}", self.key):
            raise ValueError(f"{self.kind}/{self.key} is no entry of a bundle")
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.name:
                raise ValueError(f"{name!r} is no file of {self.kind}/{self.key}")


@dataclass(frozen=True)
class Listed:
    """A kernel of a bundle, as its JSON file has it.

    ``argument`` is what names it on a command line, ``machine`` the one that its recipe asks for.
    ``kernel``, ``selftests`` and ``symbols`` are keys of parts; empty where there is none, or where
    the files lie with the kernel. The other fields are those of Kernel: without ``cures`` a cure
    that fails would be told as a known bug.
    """

    argument: str
    name: str
    release: str
    description: str
    unmodified: bool
    machine: str
    kernel: str
    selftests: str
    symbols: str
    cures: tuple[str, ...]
    parts: tuple[Part, ...]
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Refuse a kernel, selftests or symbols that no part brings. Raise ValueError."""
        there = {(part.kind, part.key) for part in self.parts}
        own = zip(KINDS, (self.kernel, self.selftests, self.symbols), strict=False)
        for kind, key in own:
            if (key or kind == "builds") and (kind, key) not in there:
                raise ValueError(f"{kind}/{key} is none of its parts")


@dataclass(frozen=True)
class BundledKernel:
    """The kernel that the file ``place`` of a bundle lists."""

    place: Path
    key: str
    machine: str | None


def pack(
    kernel: Kernel,
    argument: str,
    machine: str | None,
    selftests: Path | None,
    image: Path,
    into: Path,
    progress: Progress,
) -> Listed:
    """Copy ``kernel`` into the bundle ``into``, and list it there; return what is listed.

    ``argument`` is what names it on a command line, without a machine; ``machine`` the one that its
    recipe asks for. ``selftests`` is the directory of its own selftests, ``image`` that of the
    guest's root image. Raise DiskFullError, or UsageError where ``into`` cannot be written.
    """
    vmlinux = kernel.vmlinux.parent if kernel.vmlinux else kernel.directory
    own = selftests if selftests and selftests.parent != kernel.directory else None
    symbols = vmlinux if vmlinux != kernel.directory else None
    places = [kernel.directory, *(place for place in (own, symbols) if place), image]
    try:
        into.mkdir(parents=True, exist_ok=True)
        with disk_full_as_error(into):
            listed = Listed(
                argument=argument,
                name=kernel.name,
                release=kernel.release,
                description=kernel.description,
                unmodified=kernel.unmodified,
                machine=machine or "",
                kernel=kernel.key,
                selftests=own.name if own else "",
                symbols=symbols.name if symbols else "",
                cures=tuple(sorted(kernel.cures)),
                parts=tuple(_add(place, into, progress) for place in places),
            )
            text = json.dumps(_CONVERTER.unstructure(listed), indent=1)
            replace_file(_place(into, argument), f"{text}\n".encode())
    except OSError as error:
        raise UsageError(f"the bundle {into} cannot be written: {error.strerror}") from error
    return listed


def _add(place: Path, into: Path, progress: Progress) -> Part:
    """Copy an entry of the cache into the bundle, if it is not there yet."""
    kind, key = place.parent.name, place.name
    names = [str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file()]

    def make(half: Path) -> None:
        progress.step(f"copying {kind}/{key}")
        for name in names:
            _copy(place / name, half / name)

    Store(into, kind, progress).obtain(key, make)
    return Part(kind, key, {name: file_digest(place / name) for name in names})


def _copy(source: Path, target: Path) -> str:
    """Copy a file with its mode, and return its SHA-256. What is zero takes no room on the disk.

    Most of a root image is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            if chunk.count(0) == len(chunk):
                writer.seek(len(chunk), os.SEEK_CUR)
            else:
                writer.write(chunk)
        writer.truncate()
    shutil.copymode(source, target)
    return digest.hexdigest()


def _place(bundle: Path, argument: str) -> Path:
    return bundle / f"kernel-{content_key(argument)}.json"


def find_bundled(bundle: Path, argument: str) -> BundledKernel:
    """Return the kernel that ``argument`` names, without a machine, in the directory ``bundle``.

    Raise UsageError where it has none, ArtifactError where what it lists is damaged.
    """
    place = _place(bundle, argument)
    if not place.is_file():
        have = ", ".join(_read(path).argument for path in sorted(bundle.glob("kernel-*.json")))
        raise UsageError(
            f"the bundle {bundle} has no kernel {argument}", f"it has: {have}" if have else _AGAIN
        )
    listed = _read(place)
    if listed.argument != argument:
        raise ArtifactError(f"{place} lists {listed.argument}, not {argument}", _AGAIN)
    return BundledKernel(place, listed.kernel, listed.machine or None)


def _read(place: Path) -> Listed:
    try:
        data = json.loads(place.read_text("utf-8"))
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"its schema is {schema!r}, not {SCHEMA}")
        return _CONVERTER.structure(data, Listed)
    except BaseValidationError as error:
        raise ArtifactError(
            f"{place} lists no kernel: {transform_error(error)[0]}", _AGAIN
        ) from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{place} lists no kernel: {error}", _AGAIN) from error


def obtain_bundled(source: BundledKernel, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel, with all its parts in the cache. Raise ArtifactError or DiskFullError.

    Each file that is copied is compared with its hash.
    """
    listed = _read(source.place)
    for part in listed.parts:
        make = _importer(source.place.parent, part, progress)
        Store(cache, part.kind, progress).obtain(part.key, make)
    directory = cache / "builds" / listed.kernel
    loaded = load_kernel(directory, listed.name, "", unmodified=listed.unmodified)
    kernel = dataclasses.replace(
        loaded, description=listed.description, cures=frozenset(listed.cures)
    )
    if listed.selftests:
        kernel = dataclasses.replace(kernel, selftests=cache / "selftests" / listed.selftests)
    if listed.symbols:
        kernel = dataclasses.replace(kernel, vmlinux=cache / "symbols" / listed.symbols / "vmlinux")
    return kernel


def _importer(bundle: Path, part: Part, progress: Progress) -> Callable[[Path], None]:
    def make(half: Path) -> None:
        progress.step(f"taking {part.kind}/{part.key} from {bundle}")
        for name, digest in part.files.items():
            file = bundle / part.kind / part.key / name
            if file.is_symlink() or not file.is_file():
                raise ArtifactError(f"{file} is missing from the bundle", _AGAIN)
            if _copy(file, half / name) != digest:
                raise ArtifactError(f"{file} was altered after it was bundled", _AGAIN)

    return make
