# SPDX-License-Identifier: MIT
"""Patch series: reads them from a series file or an mbox, and applies them without fuzz."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import PatchError, RecipeError
from harness.core.toolchain import clean_environment
from harness.kernel.mbox import is_mbox, read_mbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.mbox import Mbox

_FAILED_HUNK = re.compile(r"error: patch failed: (.+):(\d+)")
_OTHER_ERROR = re.compile(r"error: (.+)")
_HUNK = re.compile(r"@@ -(\d+)[ ,].*")


@dataclass(frozen=True)
class Patch:
    """One patch: a name for messages, and its text, a diff with or without a commit message."""

    name: str
    text: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text).hexdigest()


def read_patches(files: Iterable[Path], progress: Progress) -> list[Patch]:
    """Return the patches of series files and mboxes, in order. Raise RecipeError.

    ``progress`` is told which mails of an mbox are left out.
    """
    patches: list[Patch] = []
    for path in files:
        if is_mbox(path):
            patches += mailed_patches(path.name, read_mbox(path), progress)
        else:
            patches += read_series(path)
    return patches


def mailed_patches(place: str, box: Mbox, progress: Progress) -> list[Patch]:
    """Return the patches of an mbox called ``place``; tell ``progress`` what is left out."""
    for subject in box.left_out:
        progress.step(f"{place}: left out: {subject}")
    total = len(box.mails)
    patches = []
    for number, mail in enumerate(box.mails, 1):
        name = f"{place} {number}/{total}" if total > 1 else place
        patches.append(Patch(name if mail.title == place else f"{name}: {mail.title}", mail.text))
    return patches


def is_list(path: Path) -> bool:
    """Return whether a file is a list of patches: short lines, one of which names a file there."""
    lines = [line.partition(b"#")[0].split() for line in path.read_bytes().splitlines()]
    if any(len(words) > 2 for words in lines):  # a name, and quilt's -p1
        return False
    names = [os.fsdecode(words[0]) for words in lines if words]
    # isfile(), since a line of another file may be longer than any name.
    return any(os.path.isfile(path.parent / name) for name in names)  # noqa: PTH113


def listed(path: Path) -> list[Path]:
    """Return the files that a series file lists, in order, whether they exist or not."""
    return [path.parent / name for _, name in _series_lines(path)]


def _series_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and name of each patch of a series file.

    ``#`` begins a comment. quilt(1) writes ``-pN`` behind a name; only ``-p1`` is known here.
    Raise RecipeError.
    """
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        words = raw.partition(b"#")[0].decode(errors="replace").split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise RecipeError(
                f"{path}:{number}: {' '.join(words[1:])!r} after the name of a patch",
                "a line is a name, or a name and -p1",
            )
        yield number, words[0]


def read_series(path: Path) -> list[Patch]:
    """Return the patches that a series file lists. Raise RecipeError if one does not exist."""
    patches = []
    for number, name in _series_lines(path):
        patch = path.parent / name
        if not patch.is_file():
            raise RecipeError(f"{path}:{number}: there is no patch {name}", "correct the series")
        patches.append(Patch(name, patch.read_bytes()))
    return patches


def apply_patches(patches: list[Patch], tree: Path, progress: Progress) -> None:
    """Apply ``patches`` to ``tree`` without fuzz: context lines may have moved, but not changed.

    git-apply(1) replaces files and never writes into them, so ``tree`` may be a copy by hard links.
    Raise PatchError that names patch, file and hunk, or DiskFullError.
    """
    for number, patch in enumerate(patches):
        progress.count(number, len(patches))
        _apply(patch, tree)


def _apply(patch: Patch, tree: Path) -> None:
    done = _git_apply(patch, tree)
    if done.returncode == 0:
        return
    message = done.stderr.decode(errors="replace")
    if reports_disk_full(message):
        raise disk_full(tree)
    if _git_apply(patch, tree, "--reverse", "--check").returncode == 0:
        raise PatchError(
            f"patch {patch.name} does not apply: the tree has its change already",
            "drop it from the series",
        )
    raise PatchError(
        f"patch {patch.name} does not apply: {_reason(message, patch)}",
        "rebase it on this source; a recipe's with mte-harness series tree and series refresh",
        message,
    )


def _git_apply(patch: Patch, tree: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    # Inside another repository, git-apply would skip files outside of the current directory.
    environment = clean_environment() | {"GIT_CEILING_DIRECTORIES": str(tree.parent)}
    return subprocess.run(
        ["git", "apply", "--whitespace=nowarn", *options, "-"],
        cwd=tree,
        input=patch.text,
        env=environment,
        capture_output=True,
        check=False,
    )


def _reason(message: str, patch: Patch) -> str:
    if failed := _FAILED_HUNK.search(message):
        name, line = failed[1], failed[2]
        return f"{name}, hunk {_hunk_header(patch, name, line)}: the lines around it differ"
    other = _OTHER_ERROR.search(message)
    return other[1] if other else "git apply gave no reason"


def _hunk_header(patch: Patch, name: str, line: str) -> str:
    """Return the ``@@`` line of the hunk of file ``name`` that starts at ``line``."""
    inside = False
    for text in patch.text.decode(errors="replace").splitlines():
        if text.startswith("--- "):
            inside = text.removeprefix("--- ").partition("/")[2].split("\t")[0] == name
        elif inside and (hunk := _HUNK.match(text)) and hunk[1] == line:
            return text
    return f"@@ -{line}"
