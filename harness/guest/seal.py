# SPDX-License-Identifier: MIT
"""Whether the files of a saved guest are those that were saved.

A guest that is restored from a damaged DRAM looks lost, as by a fault of its kernel. Half a file
is what a power cut leaves, or a disk that was full under another program.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from harness.core.errors import ArtifactError
from harness.vm.dram import extents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

META = "meta.json"
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)


def write_seal(directory: Path, facts: dict[str, Any]) -> None:
    """Write meta.json into a finished entry: ``facts``, and the digests of its files."""
    files = {path.name: _digest(path) for path in sorted(directory.iterdir())}
    (directory / META).write_text(json.dumps({**facts, "files": files}), encoding="utf-8")


def read_seal(directory: Path) -> dict[str, Any]:
    """Return meta.json of an entry. Raise ArtifactError if a file is not what was saved."""
    wrong = META
    try:
        meta: dict[str, Any] = json.loads((directory / META).read_text(encoding="utf-8"))
        for name, digest in dict(meta["files"]).items():
            wrong = name
            if _digest(directory / name) != digest:
                raise ValueError("truncated or altered")
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"the saved guest {directory} is damaged: {wrong}: {error}",
            f"the next run makes it again: mte-harness clean {directory.parent.name}/"
            f"{directory.name}",
        ) from error
    return meta


def _digest(path: Path) -> str:
    """Return a hash of a file's size and content. Holes are not read, and are equal to zeros."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    for at, data in _chunks(path, size):
        if data != _ZEROS[: len(data)]:
            digest.update(at.to_bytes(8, "big") + data)
    return digest.hexdigest()


def _chunks(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield each chunk of a file that holds data, and where it begins: a multiple of _CHUNK."""
    fd = os.open(path, os.O_RDONLY)
    try:
        done = 0
        for start, end in extents(fd, size):
            for at in range(max(done, start - start % _CHUNK), end, _CHUNK):
                yield at, os.pread(fd, _CHUNK, at)
                done = at + _CHUNK
    finally:
        os.close(fd)
