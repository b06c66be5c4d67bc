# SPDX-License-Identifier: MIT
"""A recipe's patches as git commits that can be edited, and the commits as patches again."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import PatchError, UsageError
from harness.core.toolchain import clean_environment
from harness.kernel.base import find_origin
from harness.kernel.mbox import is_mbox
from harness.kernel.patches import listed
from harness.kernel.recipe import DirectoryBase, Recipe

if TYPE_CHECKING:
    from harness.core.progress import Progress

BASE = "mte-harness-base"  # git tag of the commit below the recipe's own patches

# Options of git format-patch: the same commits give the same bytes, whoever runs it.
FORMAT = ("--zero-commit", "--no-signature", "--no-numbered", "--abbrev=12", "--no-renames")


def make_tree(recipe: Recipe, directory: Path, cache: Path, progress: Progress) -> None:
    """Make a git repository in ``directory``: the base, then one commit for each patch.

    Raises PatchError if a patch does not apply; `git am --continue` goes on from there.
    """
    if isinstance(recipe.base, DirectoryBase):
        raise UsageError(f"{recipe.name} is built from {recipe.base.path}", "edit it there")
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty", "name another directory")
    origin = find_origin(recipe.base, cache, progress)
    directory.mkdir(parents=True, exist_ok=True)
    progress.step(f"unpacking {origin.title}")
    origin.unpack(directory)
    progress.step("committing the base")
    _git(directory, "init", "--quiet", "--initial-branch=main")
    _git(directory, "add", "--all", "--force")
    _git(directory, "commit", "--quiet", "--message", f"{origin.title}\n\n{origin.identity}")
    inherited = [path for path in recipe.patches if path != recipe.own_patches]
    with origin.named_in_errors():
        for path in inherited:
            _am(directory, path, progress)
        _git(directory, "tag", BASE)
        if recipe.own_patches:
            _am(directory, recipe.own_patches, progress)


def write_back(recipe: Recipe, directory: Path) -> list[Path]:
    """Write the commits of ``directory`` over the recipe's own patches; return the files."""
    own = recipe.own_patches
    if own is None:
        raise UsageError(
            f"{recipe.path} names no patches of its own",
            'add patches = "patches/series" there, and an empty file of that name',
        )
    if not is_mbox(own) and (far := [path for path in listed(own) if path.parent != own.parent]):
        raise UsageError(
            f"{own} lists patches of other directories", f"refresh the recipe of {far[0].parent}"
        )
    if _git(directory, "status", "--porcelain", "--untracked-files=no"):
        raise UsageError(f"{directory} has changes that are not committed", "commit or stash them")
    if is_mbox(own):
        patches = _git(directory, "format-patch", "--stdout", *FORMAT, f"{BASE}..HEAD")
        own.write_text(patches, encoding="utf-8", errors="surrogateescape")
        return [own]
    for old in listed(own):
        old.unlink(missing_ok=True)
    names = _git(directory, "format-patch", *FORMAT, "-o", str(own.parent), f"{BASE}..HEAD")
    files = [Path(name) for name in names.splitlines()]
    lines = ["# SPDX-License-Identifier: GPL-2.0-only", *(file.name for file in files)]
    own.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [*files, own]


def _am(directory: Path, path: Path, progress: Progress) -> None:
    progress.step(f"applying {path}")
    files = [path] if is_mbox(path) else listed(path)
    if files:
        _git(
            directory,
            "am",
            "--quiet",
            "--3way",
            "--committer-date-is-author-date",
            *map(str, files),
        )


def _git(directory: Path, *arguments: str) -> str:
    """Run git without the user's settings; return its output. Bytes that are not UTF-8 are kept."""
    environment = clean_environment() | {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_AUTHOR_NAME": "mte-harness",
        "GIT_AUTHOR_EMAIL": "mte-harness@localhost",
        "GIT_COMMITTER_NAME": "mte-harness",
        "GIT_COMMITTER_EMAIL": "mte-harness@localhost",
    }
    if arguments[0] == "am":  # the patch file names the author
        del environment["GIT_AUTHOR_NAME"], environment["GIT_AUTHOR_EMAIL"]
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env=environment,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        message = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        if arguments[0] == "am":
            raise PatchError(
                f"git am stopped: {message.splitlines()[0] if message else 'no reason given'}",
                f"in {directory}: resolve it, then git am --continue",
                message,
            )
        raise UsageError(f"git {arguments[0]} failed in {directory}", "see below", message)
    return done.stdout.decode("utf-8", "surrogateescape")
