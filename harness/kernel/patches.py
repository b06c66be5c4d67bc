# SPDX-License-Identifier: MIT
"""Patch series: reads them from a series file or an mbox, and applies them without fuzz."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import PatchError, RecipeError
from harness.core.toolchain import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.core.progress import Progress

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


def read_patches(files: Iterable[Path]) -> list[Patch]:
    """Return the patches of series files and mboxes, in order. Raise RecipeError."""
    patches: list[Patch] = []
    for path in files:
        patches += read_mbox(path) if is_mbox(path) else read_series(path)
    return patches


def is_mbox(path: Path) -> bool:
    """Return whether a file is an mbox; otherwise it is a series file."""
    with path.open("rb") as stream:
        return stream.read(5) == b"From "


def listed(path: Path) -> list[Path]:
    """Return the files that a series file lists, in order, whether they exist or not."""
    return [path.parent / name for _, name in _series_lines(path)]


def _series_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and name of each patch of a series file; ``#`` begins a comment."""
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if name := raw.partition("#")[0].strip():
            yield number, name


def read_series(path: Path) -> list[Patch]:
    """Return the patches that a series file lists. Raise RecipeError if one does not exist."""
    patches = []
    for number, name in _series_lines(path):
        patch = path.parent / name
        if not patch.is_file():
            raise RecipeError(f"{path}:{number}: there is no patch {name}", "correct the series")
        patches.append(Patch(name, patch.read_bytes()))
    return patches


def read_mbox(path: Path) -> list[Patch]:
    """Return the patches of an mbox, decoded by git-mailinfo(1); mails without a diff are skipped.

    Raise RecipeError for a file that is no mbox or has no patch.
    """
    patches = []
    with tempfile.TemporaryDirectory(prefix="mte-harness-mbox-") as scratch:
        _git(["mailsplit", f"-o{scratch}", str(path)], Path(scratch), path)
        for mail in sorted(Path(scratch).iterdir()):
            message, diff = Path(f"{mail}.message"), Path(f"{mail}.diff")
            info = _git(
                ["mailinfo", str(message), str(diff)], Path(scratch), path, mail.read_bytes()
            )
            subject = re.search(r"^Subject: (.*)$", info, re.MULTILINE)
            text = diff.read_bytes()
            if b"\n@@ " in text or b"diff --git " in text:
                patches.append(Patch(f"{path.name}: {subject[1] if subject else mail.name}", text))
    if not patches:
        raise RecipeError(
            f"{path}: no patch in this mbox", "name a file of `git format-patch` mails"
        )
    return patches


def _git(argv: list[str], cwd: Path, path: Path, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *argv],
        cwd=cwd,
        input=stdin,
        env=clean_environment(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RecipeError(
            f"{path}: not an mbox", "check the file", done.stderr.decode(errors="replace")
        )
    return done.stdout.decode(errors="replace")


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
        "rebase it: mte-harness series tree, then mte-harness series refresh",
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
