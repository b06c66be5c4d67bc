# SPDX-License-Identifier: MIT
"""A revision of a git repository: of one on this host, or of a remote one without its history."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import NetworkError, NotThereError
from harness.core.keys import content_key
from harness.core.run_logged import run_logged
from harness.core.toolchain import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress

_FULL_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"([0-9a-f]{40,64})\t(.+)")
# Seconds: a server's list of refs; and a release without history, 250 MB, over a slow line.
LIST_S = 60
FETCH_S = 3600
# git gives up a transfer that has stood still for so long (git-config(1), http.lowSpeedTime).
STALL = ("-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={LIST_S}")
TIMED_OUT = 124  # timeout(1)


@dataclass(frozen=True)
class Commit:
    """A commit that ``repository``, on this host, has.

    ``repository`` may be a directory inside the work tree; then that part of the commit is meant.
    """

    repository: Path
    commit: str

    @property
    def tree(self) -> str:
        """Return the hash of its tree, which is the same for the same files.

        Raise NotThereError if the commit lacks the directory.
        """
        prefix = git(self.repository, "rev-parse", "--show-prefix") or ""
        tree = git(self.repository, "rev-parse", "--verify", f"{self.commit}:{prefix}")
        if tree is None:
            raise NotThereError(
                f"{self.commit[:12]} of {self.repository} has no {prefix}",
                "name a directory that the commit has",
            )
        return tree


def local_commit(repository: Path, revision: str) -> Commit:
    """Return a revision of a repository on this host. Raise NotThereError."""
    if git(repository, "rev-parse", "--git-dir") is None:
        raise NotThereError(
            f"{repository} is no git repository, and cannot have a revision {revision!r}",
            "name the directory without a revision",
        )
    commit = git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise NotThereError(
            f"{repository} has no revision {revision!r}", "git fetch, or correct it"
        )
    return Commit(repository, commit)


def remote_commit(url: str, revision: str, cache: Path, progress: Progress) -> Commit:
    """Return a revision of a remote repository, fetched if it is not there yet.

    If the server does not answer, and the revision was fetched before, that commit is taken. Raise
    NotThereError if the server answers that it has no such branch or tag, NetworkError or
    DiskFullError.
    """
    repository = cache / "git" / content_key(url)
    if not repository.is_dir():
        repository.mkdir(parents=True)
        git(repository, "init", "--quiet", "--bare")
    seen = f"refs/mte-harness/{content_key(revision)}"
    try:
        commit = _commit_of(url, revision, repository)
    except NetworkError:
        known = git(repository, "rev-parse", "--verify", "--quiet", f"{seen}^{{commit}}")
        if known is None:
            raise
        progress.step(f"{url} does not answer: {revision} is as it was when it was fetched")
        return Commit(repository, known)
    if git(repository, "cat-file", "-e", f"{commit}^{{tree}}") is None:
        progress.step(f"fetching {revision} from {url}")
        _remote(url, revision, FETCH_S, repository, "fetch", "--quiet", "--depth=1", url, commit)
    git(repository, "update-ref", seen, commit)
    return Commit(repository, commit)


def _commit_of(url: str, revision: str, repository: Path) -> str:
    if _FULL_HASH.fullmatch(revision):
        return revision
    names = [f"refs/{kind}/{revision}" for kind in ("tags", "heads")]
    wanted = (f"{names[0]}^{{}}", *names, revision)
    listed = _remote(url, revision, LIST_S, repository, "ls-remote", url, *wanted)
    refs = {found[2]: found[1] for line in listed if (found := _REF.fullmatch(line))}
    for name in wanted:
        if name in refs:
            return refs[name]
    raise NotThereError(
        f"{url} has no branch or tag {revision!r}", "correct it, or give a full commit hash"
    )


def _remote(url: str, revision: str, seconds: int, repository: Path, *words: str) -> list[str]:
    """Return the lines that git prints. Raise NetworkError if it fails or takes too long."""
    environment = clean_environment() | {"GIT_TERMINAL_PROMPT": "0"}
    command = ["timeout", "--kill-after=5", str(seconds), "git", *STALL, *words]
    lines: list[str] = []
    status = run_logged(
        command, io.StringIO(), cwd=repository, env=environment, on_line=lines.append
    )
    if status:
        said = "\n".join(lines)
        if reports_disk_full(said):
            raise disk_full(repository)
        late = f": no answer in {seconds} seconds" if status == TIMED_OUT else ""
        raise NetworkError(
            f"cannot reach {url} for {revision}{late}", "check the URL and the network", said
        )
    return lines


def git(repository: Path, *words: str) -> str | None:
    """Return the output of git, or None if it fails."""
    output = git_output(repository, *words)
    return output.decode(errors="replace").strip() if output is not None else None


def git_output(repository: Path, *words: str) -> bytes | None:
    """Return the output of git to the byte, as a diff needs it; None if git fails."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(repository), *words],
        env=clean_environment(),
        capture_output=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None
