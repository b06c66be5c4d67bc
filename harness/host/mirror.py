# SPDX-License-Identifier: MIT
"""A copy of a user's source directory in the cache; the user's directory is never written to.

kbuild refuses to build out of tree if the source has an in-tree build, and make would use the
objects in it (VPATH). So the source files, without build products, are copied into a mirror. A file
is copied only if its content differs: make then compiles only what was edited, and nothing after a
`git checkout` of another branch and back.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.core.disk import disk_full_as_error
from harness.core.errors import SourceError
from harness.core.toolchain import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.core.progress import Progress

# Patterns (gitignore(5)) of build products that the tree's .gitignore files do not list. The first
# one undoes the "/*" of Debian's source package, which ignores everything.
PRODUCTS = (
    "!/*", "/.*", "/vmlinux*", "/System.map", "/Module.*", "/modules*", "/*.symvers",
    "/include/config/", "/include/generated/", "/arch/*/include/generated/",
    "*.o", "*.a", "*.ko", ".*.cmd", "*.mod", "*.order",
)  # fmt: skip

# A file edited within this time before stat() may be edited again without a change of its mtime
# (git's "racy" entries, Documentation/technical/racy-git.txt of git).
RACY_NS = 1_000_000_000
THREADS = 4

Stamp = tuple[int, int, int, int]
"""Mode, size, mtime and ctime (in ns): if none changes, the content has not changed."""


@dataclass
class State:
    """The content of the mirror after the last refresh.

    ``files``: name -> stamp and content hash. ``watched``: directories (and git's index) with
    their mtime: if none changes, no file was added or removed. ``digest``: hash of all content.
    """

    files: dict[str, tuple[Stamp, str]] = field(default_factory=dict)
    watched: dict[str, int] = field(default_factory=dict)
    digest: str = ""


class Mirror:
    """The mirror of the source directory ``source`` in ``home``, a directory of the cache.

    The caller holds a lock on ``home``.
    """

    def __init__(self, source: Path, home: Path) -> None:
        self.source = source
        self.tree = home / "src"
        self.home = home
        self._state_file = home / "state.json"
        self._private_git = home / "git"

    def refresh(self, progress: Progress) -> str:
        """Make the mirror equal to the source, and return the hash of its content.

        Raise SourceError if it is no kernel source, DiskFullError.
        """
        require_kernel(self.source, str(self.source))
        state = self._load()
        if state.digest and self._unchanged(state):
            return state.digest
        progress.step(f"reading {self.source}")
        with disk_full_as_error(self.home):
            self.tree.mkdir(parents=True, exist_ok=True)
            return self._update(state, progress)

    def _unchanged(self, state: State) -> bool:
        top = str(self.source)
        try:
            return all(
                os.lstat(name).st_mtime_ns == mtime for name, mtime in state.watched.items()
            ) and all(
                _stamp(os.lstat(f"{top}/{name}")) == stamp
                for name, (stamp, _) in state.files.items()
            )
        except OSError:
            return False

    def _update(self, state: State, progress: Progress) -> str:
        now = time.time_ns()
        watched = self._watch()
        stamps = self._list()
        kept = {
            name: state.files[name]
            for name, stamp in stamps.items()
            if name in state.files and state.files[name][0] == stamp
        }
        # Crash safety: until the update is complete, the state on disk lists only files that the
        # update does not touch.
        self._save(State(files=kept))
        for name in self._present(state) - stamps.keys():
            (self.tree / name).unlink(missing_ok=True)
        fresh = [name for name in stamps if name not in kept]
        files = dict(kept)
        for name, digest in self._copy_all(fresh, state, progress):
            mode, size, mtime, ctime = stamps[name]
            racy = now - max(mtime, ctime) < RACY_NS
            files[name] = ((mode, -1 if racy else size, mtime, ctime), digest)
        digest = _digest(files)
        self._save(State(files, watched, digest))
        return digest

    def _copy_all(
        self, names: list[str], state: State, progress: Progress
    ) -> Iterator[tuple[str, str]]:
        """Copy ``names`` into the mirror; yield each with the hash of its content."""
        pool = concurrent.futures.ThreadPoolExecutor(THREADS)
        try:
            hashes = pool.map(lambda name: self._copy(name, state), names)
            for number, pair in enumerate(zip(names, hashes, strict=True)):
                if number % 500 == 0:
                    progress.count(number, len(names))
                yield pair
        finally:
            pool.shutdown(cancel_futures=True)

    def _copy(self, name: str, state: State) -> str:
        """Copy one file unless the mirror has its content; return the hash of the content."""
        source, target = self.source / name, self.tree / name
        known = state.files.get(name, (None, ""))[1]
        if source.is_symlink():
            link = str(source.readlink())
            if not (target.is_symlink() and str(target.readlink()) == link):
                _make_room(target)
                target.symlink_to(link)
            return "link:" + link
        data = source.read_bytes()
        executable = bool(source.stat().st_mode & stat.S_IXUSR)
        digest = hashlib.sha256(data).hexdigest() + ("x" if executable else "")
        if digest != known and not (_is_file(target) and target.read_bytes() == data):
            _make_room(target)
            target.write_bytes(data)
        if digest != known:
            target.chmod(0o755 if executable else 0o644)
        return digest

    def _list(self) -> dict[str, Stamp]:
        """Return the source files, which git tracks or does not ignore, with their stamps."""
        own = (self.source / ".git").exists()
        if own:
            where = ["-C", str(self.source)]
        else:
            self._make_private_git()
            where = [f"--git-dir={self._private_git}", f"--work-tree={self.source}"]
        words = ["ls-files", "-z", "--cached", "--others"]
        # Not --exclude-standard: a user's own excludes (core.excludesFile, .git/info/exclude) say
        # what he does not commit, not what make does not read.
        words.append("--exclude-per-directory=.gitignore")
        excludes = [word for pattern in PRODUCTS for word in ("-x", pattern)]
        safe = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
        done = subprocess.run(
            ["git", *safe, *where, *words, *excludes],
            cwd=self.source,
            env=clean_environment() | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            message = done.stderr.decode(errors="replace").strip()
            raise SourceError(
                f"cannot list the files of {self.source}: {message}", "see git status there"
            )
        stamps = {}
        top = str(self.source)
        for name in map(os.fsdecode, done.stdout.split(b"\0")[:-1]):
            try:
                status = os.lstat(f"{top}/{name}")
            except FileNotFoundError:  # deleted, but still in the index
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                stamps[name] = _stamp(status)
        return stamps

    def _make_private_git(self) -> None:
        """Make an empty repository, so that git reads .gitignore files in a tree without .git."""
        if not (self._private_git / "HEAD").exists():
            subprocess.run(
                ["git", "init", "--quiet", "--bare", str(self._private_git)],
                env=clean_environment(),
                capture_output=True,
                check=True,
            )
            subprocess.run(
                ["git", f"--git-dir={self._private_git}", "config", "core.bare", "false"],
                env=clean_environment(),
                capture_output=True,
                check=True,
            )

    def _watch(self) -> dict[str, int]:
        watched = {}
        for top, directories, _ in os.walk(self.source):
            directories[:] = [name for name in directories if name != ".git"]
            watched[top] = os.lstat(top).st_mtime_ns
        index = self.source / ".git/index"
        if index.is_file():
            watched[str(index)] = index.stat().st_mtime_ns
        return watched

    def _present(self, state: State) -> set[str]:
        """Return the names of the source files in the mirror."""
        if state.digest:
            return set(state.files)
        names = set()
        for top, directories, files in os.walk(self.tree):
            inside = os.path.relpath(top, self.tree)
            if inside == ".":
                directories[:] = [
                    name for name in directories if not name.startswith("mte-harness-")
                ]
            names |= {os.path.normpath(f"{inside}/{name}") for name in files}
        return names

    def _load(self) -> State:
        try:
            raw = json.loads(self._state_file.read_text(encoding="utf-8"))
            files = {name: (tuple(stamp), digest) for name, (stamp, digest) in raw["files"].items()}
            return State(files, raw["watched"], raw["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return State()

    def _save(self, state: State) -> None:
        text = json.dumps({"files": state.files, "watched": state.watched, "digest": state.digest})
        new = self._state_file.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.rename(self._state_file)


def require_kernel(source: Path, title: str) -> None:
    """Raise SourceError unless ``source``, to be called ``title``, is a kernel source."""
    for name in ("Makefile", "Kconfig", "arch/arm64/Kconfig"):
        if not (source / name).is_file():
            raise SourceError(
                f"{title} is no kernel source: it has no {name}",
                "give its top directory; others hold boot/vmlinuz-VERSION or linux-*.deb",
            )


def _stamp(status: os.stat_result) -> Stamp:
    return (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _digest(files: dict[str, tuple[Stamp, str]]) -> str:
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{files[name][1]}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _make_room(target: Path) -> None:
    """Remove a file or directory at ``target``, and make its parent directory."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
