# SPDX-License-Identifier: MIT
"""The source of a recipe's base: a Debian package or a git revision, unpacked into the cache.

Its content hash is known without unpacking it, so a kernel that is built already needs no source.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import NetworkError, SourceError
from harness.core.keys import content_key, file_digest
from harness.core.store import Store
from harness.core.toolchain import clean_environment
from harness.kernel import debian_source
from harness.kernel.extract import PIPE, extract
from harness.kernel.mirror import require_kernel
from harness.kernel.recipe import DebianBase, GitBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.progress import Progress

# With one of these kbuild builds in no other directory (top Makefile, outputmakefile).
_UNCLEAN = (".config", "include/config", "arch/arm64/include/generated")
_FULL_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Origin:
    """A base that exists. ``identity`` hashes its content; ``unpack`` writes it to a directory."""

    identity: str
    title: str
    unpack: Callable[[Path], None]


def find_origin(base: DebianBase | GitBase, cache: Path, progress: Progress) -> Origin:
    """Return the origin of a base. Raise SourceError if it does not exist, or NetworkError."""
    if isinstance(base, DebianBase):
        return _debian(base, cache, progress)
    repository = Path(base.url).expanduser()
    if repository.is_dir():
        return _git_local(repository.resolve(), base.revision)
    return _git_remote(base, cache / "git", progress)


def pristine(origin: Origin, cache: Path, progress: Progress) -> Path:
    """Return the directory with the source of ``origin``, which no build writes to."""

    def make(directory: Path) -> None:
        unpacked(origin, directory, progress)

    name = content_key(origin.identity)
    return Store(cache, "sources", progress).obtain(name, make)


def unpacked(origin: Origin, directory: Path, progress: Progress) -> None:
    """Write the source of ``origin`` to ``directory``, which is empty or not there.

    Build products that somebody committed are left out. Raise SourceError if it is no kernel's.
    """
    progress.step(f"unpacking {origin.title}")
    directory.mkdir(exist_ok=True)
    origin.unpack(directory)
    require_kernel(directory, origin.title)
    for name in _UNCLEAN:
        if (directory / name).is_dir():
            shutil.rmtree(directory / name)
        (directory / name).unlink(missing_ok=True)


def _debian(base: DebianBase, cache: Path, progress: Progress) -> Origin:
    tarball = debian_source.obtain_tarball(base.package, base.version, cache, progress)

    def unpack(directory: Path) -> None:
        _extract(
            ["tar", "-xJf", str(tarball), "--strip-components=1", "-C", str(directory)],
            directory,
            "mte-harness clean tarballs, then run this again",
        )

    title = f"{base.package} {base.version}".rstrip()
    return Origin(f"tarball:{file_digest(tarball)}", title, unpack)


def _extract(argv: list[str], directory: Path, cure: str) -> None:
    failed = extract(argv, directory)
    if failed is not None:
        raise SourceError(
            f"cannot unpack: {failed[-1] if failed else argv[0]}", cure, "\n".join(failed)
        )


def _git_local(repository: Path, revision: str) -> Origin:
    if _git(repository, "rev-parse", "--git-dir") is None:
        raise SourceError(
            f"{repository} is no git repository, and cannot have a revision {revision!r}",
            "name the directory without a revision",
        )
    commit = _git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise SourceError(f"{repository} has no revision {revision!r}", "git fetch, or correct it")
    return _git_origin(repository, commit, f"{repository.name} {revision} ({commit[:12]})")


def _git_origin(repository: Path, commit: str, title: str) -> Origin:
    """Return the origin of a commit; of the part in ``repository`` if that is not the top of it."""
    script = 'git -c "safe.directory=*" -C "$1" archive "$2" | tar -x -C "$3"'

    def unpack(directory: Path) -> None:
        words = [*PIPE, script, "unpack", str(repository), commit, str(directory)]
        _extract(words, directory, f"git -C {repository} fsck")

    prefix = _git(repository, "rev-parse", "--show-prefix") or ""
    tree = _git(repository, "rev-parse", "--verify", f"{commit}:{prefix}")
    if tree is None:
        raise SourceError(f"{title} has no {prefix}", "name a directory that the commit has")
    return Origin(f"git:{tree}", title, unpack)


def _git_remote(base: GitBase, store: Path, progress: Progress) -> Origin:
    """Return the origin of a remote revision, fetched without history if it is not there yet."""
    repository = store / content_key(base.url)
    if not repository.is_dir():
        repository.mkdir(parents=True)
        _git(repository, "init", "--quiet", "--bare")
    commit = _remote_commit(base)
    if _git(repository, "cat-file", "-e", f"{commit}^{{tree}}") is None:
        progress.step(f"fetching {base.revision} from {base.url}")
        _remote(base, "fetch", "--quiet", "--depth=1", base.url, commit, cwd=repository)
    return _git_origin(repository, commit, base.revision)


def _remote_commit(base: GitBase) -> str:
    if _FULL_HASH.fullmatch(base.revision):
        return base.revision
    names = [f"refs/{kind}/{base.revision}" for kind in ("tags", "heads")]
    listed = _remote(base, "ls-remote", base.url, f"{names[0]}^{{}}", *names, base.revision)
    refs = {name: commit for commit, name in (line.split("\t") for line in listed.splitlines())}
    for name in (f"{names[0]}^{{}}", *names, base.revision):
        if name in refs:
            return refs[name]
    raise SourceError(
        f"{base.url} has no branch or tag {base.revision!r}",
        "correct it, or give a full commit hash",
    )


def _remote(base: GitBase, *words: str, cwd: Path | None = None) -> str:
    environment = clean_environment() | {"GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["git", *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        if reports_disk_full(done.stderr):
            raise disk_full(cwd or Path())
        raise NetworkError(
            f"cannot reach {base.url} for {base.revision}",
            "check the URL and the network",
            done.stderr,
        )
    return done.stdout


def _git(repository: Path, *words: str) -> str | None:
    """Return the output of git, or None if it fails."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(repository), *words],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None
