# SPDX-License-Identifier: MIT
"""The commits of a git repository as a history; the repository is only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.errors import SourceError, UsageError
from harness.host.git_source import git, git_output, local_commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


UNTRIED = "The change is one of these {} commits; all but the last could not be tried:"


class GitHistory:
    """The commits between two revisions of the repository ``path``, merges and all."""

    def __init__(self, path: Path, first: str, last: str) -> None:
        self.path = path
        self.first, self.last = first, last

    def suspects(self, last: str, before: Iterable[str]) -> list[str]:
        """Return the commits in ``last`` and in none of ``before``, as git-bisect(1) orders them.

        That is by how evenly each divides them (git-rev-list(1), --bisect-all).
        """
        lines = self._git("rev-list", "--bisect-all", last, "--not", *before).splitlines()
        return [line.split()[0] for line in lines]

    def parents(self, point: str) -> tuple[str, ...]:
        """Return the parents of a commit."""
        return tuple(self._git("rev-parse", f"{point}^@").split())

    def title(self, point: str) -> str:
        """Return the short hash and the subject."""
        return self._git("show", "-s", "--abbrev=12", '--format=%h ("%s")', point)

    def answer(self, suspects: Sequence[str], *, came: bool) -> list[str]:
        """Return what git knows of the commit, and the lines that a report or a fix quotes."""
        if len(suspects) > 1:
            return [UNTRIED.format(len(suspects)), *(f"  {self.title(p)}" for p in suspects)]
        (point,) = suspects
        tag = "Fixes" if came else "Fixed by"
        about = self._git("show", "-s", "--format=Author: %an <%ae>%nDate:   %ad", point)
        return [
            f"The bug {'came' if came else 'went'} with commit",
            f"  {self.title(point)}",
            *(f"  {line}" for line in about.splitlines()),
            *(f"  changes {line}" for line in self._files(point)),
            f"{tag}: {self.title(point)}",
            *([f"#regzbot introduced: {point}"] if came else [f"#regzbot fix: {point}"]),
        ]

    def undo(self, point: str) -> bytes:
        """Return the diff that takes a commit out again; b"" for a merge.

        git-diff-tree(1) knows nothing of the user's diff.noprefix and the like. A diff ends with
        blanks where its last line is empty, and has whatever bytes the files have.
        """
        if len(self.parents(point)) != 1:
            return b""
        words = ("diff-tree", "-p", "--binary", "--full-index", point, f"{point}^")
        return git_output(self.path, *words) or b""

    def _files(self, point: str) -> list[str]:
        names = self._git("show", "--first-parent", "--format=", "--name-only", point).splitlines()
        return [*names[:8], *([f"and {len(names) - 8} more"] if len(names) > 8 else [])]

    def _git(self, *words: str) -> str:
        said = git(self.path, *words)
        if said is None:
            raise SourceError(f"git {' '.join(words)} fails in {self.path}", "git fsck")
        return said


def git_history(path: Path, good: str, bad: str) -> tuple[GitHistory, bool]:
    """Return the history between two revisions, and whether the bad one is the later.

    Raise SourceError for a revision that does not exist, UsageError if neither is in the other.
    """
    if git(path, "rev-parse", "--git-dir") is None:
        raise UsageError(
            f"{path} is no git repository", "name a git tree, or a recipe with patches"
        )
    one, other = (local_commit(path, revision).commit for revision in (good, bad))
    if one == other:
        raise UsageError(
            f"--good {good} and --bad {bad} are the same commit {one[:12]}",
            "name two that differ in the bug",
        )
    if git(path, "merge-base", "--is-ancestor", one, other) is not None:
        return GitHistory(path, one, other), True
    if git(path, "merge-base", "--is-ancestor", other, one) is not None:
        return GitHistory(path, other, one), False
    base = git(path, "merge-base", one, other)
    raise UsageError(
        f"neither of {good} and {bad} is in the other",
        f"take where they part in place of one of them: {base}"
        if base
        else "name revisions of one history",
    )
