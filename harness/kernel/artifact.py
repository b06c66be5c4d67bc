# SPDX-License-Identifier: MIT
"""A published kernel: a directory of the cache that is named by its key and never changes."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.errors import ArtifactError
from harness.core.keys import file_digest
from harness.kernel.linux_image import page_size

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel.recipe import DebianBase

META = "meta.json"
IMAGE = "Image"
VMLINUX = "vmlinux"
SYSTEM_MAP = "System.map"
CONFIG = "config"
INITRAMFS = "initramfs"
SELFTESTS = "selftests"
KINDS = (IMAGE, VMLINUX, SYSTEM_MAP, CONFIG, INITRAMFS)


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted, with its files.

    ``name`` is short, for test ids and reports; ``key`` is the hash of everything that the kernel
    was made from; ``config`` is the final .config; ``selftests`` is the directory with the programs
    built from tools/testing/selftests/arm64/mte of the same source; ``initramfs`` has the modules
    without which the guest has no root file system. Files that a ready Image came without are None.
    ``unmodified``: its source is a release as Debian or Linux has it, so that it may speak for that
    release. ``source``: where its source can be had, if the selftests are not built (selftests.py).
    ``cures``: the bugs of docs/findings that its recipe claims to cure.
    """

    name: str
    key: str
    directory: Path
    image: Path
    vmlinux: Path | None
    config: Path | None
    release: str
    selftests: Path | None
    description: str
    initramfs: Path | None = None
    unmodified: bool = False
    source: DebianBase | None = None
    cures: frozenset[str] = frozenset()

    @functools.cached_property
    def page_size(self) -> int:
        """The size of a page in bytes. Raise ImageError if the Image does not say it."""
        return page_size(self.image)

    def built_with(self, symbol: str) -> bool | None:
        """Return whether the guest has ``symbol`` (``CONFIG_…``); None if there is no .config.

        A module is there only where an initramfs brings it.
        """
        if self.config is None:
            return None
        return self.state(symbol) in ("ym" if self.initramfs else "y")

    def state(self, symbol: str) -> str:
        """Return y, m or n for ``symbol`` (``CONFIG_…``) in the .config, which must be there."""
        assert self.config is not None
        lines = _lines(self.config)
        return next((value for value in "ym" if f"{symbol}={value}" in lines), "n")


@functools.cache
def _lines(config: Path) -> frozenset[str]:
    """Return the lines of a .config; cached, since each program asks for several symbols."""
    return frozenset(config.read_text(encoding="utf-8", errors="replace").splitlines())


def write_meta(directory: Path, facts: dict[str, Any]) -> None:
    """Write meta.json into a finished directory: ``facts``, and size and hash of its files."""
    files = {
        name: {"size": (directory / name).stat().st_size, "sha256": file_digest(directory / name)}
        for name in KINDS
        if (directory / name).is_file()
    }
    text = json.dumps({**facts, "files": files}, indent=1)
    (directory / META).write_text(text + "\n", encoding="utf-8")


def load_kernel(
    directory: Path, name: str, description: str, *, unmodified: bool = False
) -> Kernel:
    """Return the published kernel in ``directory``.

    Raise ArtifactError if a file is missing, truncated or altered. Of vmlinux only the size is
    checked: it decides no verdict, and hashing its 40 MB takes time.
    """
    try:
        meta = json.loads((directory / META).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = meta["files"]
        release = str(meta["release"])
        notes = list(meta.get("changes", []))  # kernels built before there were any have none
        if lacking := meta["lacking"]:
            notes.append(f"this tree lacks {', '.join(lacking)}")
        for item, facts in files.items():
            _verify(directory / item, facts)
        (directory / META).touch()  # the time of the last use, for history.py
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(directory, directory / META, "cannot be read") from error
    present = {item: directory / item for item in files}
    selftests = directory / SELFTESTS
    return Kernel(
        name=name,
        key=directory.name,
        directory=directory,
        image=directory / IMAGE,
        vmlinux=present.get(VMLINUX),
        config=present.get(CONFIG),
        release=release,
        selftests=selftests if selftests.is_dir() else None,
        description="; ".join([description, *notes]),
        initramfs=present.get(INITRAMFS),
        unmodified=unmodified,
    )


def _verify(path: Path, facts: dict[str, Any]) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size is None:
        raise _damaged(path.parent, path, "is missing")
    if size != facts["size"]:
        raise _damaged(path.parent, path, f"has {size} bytes, not {facts['size']}")
    if path.name != VMLINUX and file_digest(path) != facts["sha256"]:
        raise _damaged(path.parent, path, "was altered after it was built")


def _damaged(directory: Path, path: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"{path} in the cache {what}", f"remove the entry, it is built again: rm -r {directory}"
    )
