# SPDX-License-Identifier: MIT
"""A series that a command puts on top of a kernel's source (``--series FILE``), read and checked.

FILE is an mbox as a mailing list has it, a single mail, a diff, a list of patches as quilt(1) and
a recipe's ``patches`` have it, or a directory with one of these lists or with patches.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import PatchError, RecipeError, UsageError
from harness.core.toolchain import clean_environment
from harness.kernel.mbox import has_patches, read_mbox, unpacked
from harness.kernel.patches import Patch, is_list, mailed_patches, read_series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.core.progress import Progress

LIST = "series"
# The names of the files in a directory that are patches; an editor's backup (x.patch~) is none.
PATCH_FILE = re.compile(r"[^.].*\.(?:patch|diff|mbox|mbx|eml)(?:\.gz)?", re.IGNORECASE)
_SUFFIX = re.compile(r"(?:\.(?:patch|diff|mbox|mbx|eml|txt|gz))+$", re.IGNORECASE)
# What a directory or file is called that says nothing of the series in it.
_PLAIN_NAMES = {"series", "patches"}
NAME_LENGTH = 40
# git-diff-tree(1), "Combined diff format": git-apply(1) passes over it without a word.
_MERGE = re.compile(rb"^diff --(?:cc|combined) .*", re.MULTILINE)
KINDS = "an mbox, a mail with a patch, a diff, a list of patches, or a directory of patches"


@dataclass(frozen=True)
class Series:
    """The patches of a file or directory in their order; ``path`` is its absolute path."""

    path: Path
    patches: tuple[Patch, ...]

    @property
    def name(self) -> str:
        """Return a short name, for test ids and reports."""
        return series_name(self.path)

    def __str__(self) -> str:
        """Return what a kernel's description says of it."""
        count = len(self.patches)
        return f"with {count} patch{'es' if count > 1 else ''} of {self.path.name}"


def series_name(path: Path) -> str:
    """Return the name of the series in an absolute ``path``: of ASCII, without spaces."""
    for part in reversed(path.parts[1:]):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", _SUFFIX.sub("", part)).strip("-.")[:NAME_LENGTH]
        if name and name.lower() not in _PLAIN_NAMES:
            return name
    return LIST


def load_series(files: Iterable[Path], progress: Progress) -> tuple[Series, ...]:
    """Return the series in each of ``files``; ``progress`` is told which mails are left out.

    Raise UsageError for a file that has no patches, and PatchError for a patch that git-apply(1)
    could not read on any tree.
    """
    return tuple(_load(Path(path).expanduser(), progress) for path in files)


def _load(path: Path, progress: Progress) -> Series:
    try:
        patches = _read(path, progress)
    except RecipeError as error:
        raise UsageError(f"--series: {error.cause}", error.cure, error.details) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"--series: {path}: {getattr(error, 'strerror', error)}") from error
    if not patches:
        raise UsageError(f"--series: {path}: no patch in it", "check the list of patches")
    for patch in patches:
        _check_form(patch)
    return Series(path.absolute(), tuple(patches))


def _read(path: Path, progress: Progress) -> list[Patch]:
    if path.is_dir():
        if (path / LIST).is_file():
            return read_series(path / LIST)
        files = sorted(filter(_is_patch_file, path.iterdir()), key=_natural)
        if not files:
            raise UsageError(f"--series: {path}: neither patches nor a file {LIST!r} in it")
        return mailed_patches(path.name, read_mbox(path, files), progress)
    if not path.exists():
        raise UsageError(f"--series: there is no {path}", f"name {KINDS}")
    if not path.is_file():
        # It is read again by each process that runs tests.
        raise UsageError(f"--series: {path} is no regular file", "save the patches in a file")
    data = unpacked(path)
    if not data.strip():
        raise UsageError(f"--series: {path} is empty", "download it again")
    if b"\0" not in data:
        if has_patches(data):
            return mailed_patches(path.name, read_mbox(path), progress)
        if is_list(path):
            return read_series(path)
    what = "is binary" if b"\0" in data else "has no patch"
    raise UsageError(f"--series: {path} {what}", f"name {KINDS}")


def _is_patch_file(path: Path) -> bool:
    return path.is_file() and PATCH_FILE.fullmatch(path.name) is not None


def _natural(path: Path) -> list[tuple[str, int]]:
    """Return a key that sorts ``2.patch`` before ``10.patch``."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", path.name)]


def _check_form(patch: Patch) -> None:
    """Raise PatchError for a patch that is damaged, or of which git-apply(1) would skip a part."""
    if merge := _MERGE.search(patch.text):
        raise PatchError(
            f"patch {patch.name}: {merge[0].decode(errors='replace')!r} is the diff of a merge, "
            "which cannot be applied",
            "make it with git format-patch, which leaves out merges",
        )
    done = subprocess.run(
        ["git", "apply", "--numstat", "-"],
        cwd="/",  # in a repository, git-apply looks only at files below this directory
        input=patch.text,
        env=clean_environment(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        message = done.stderr.decode(errors="replace")
        said = message.strip().splitlines()[-1:] or ["git apply gave no reason"]
        raise PatchError(
            f"patch {patch.name} is damaged: {said[0].removeprefix('error: ')}",
            "download it again: a mail client may have broken its lines",
            message,
        )
