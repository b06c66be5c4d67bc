# SPDX-License-Identifier: MIT
"""The source of a recipe's base: of the first place that has it, unpacked into the cache.

Its content hash is known without unpacking it, so a kernel that is built already needs no source.
"""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import PatchError, SourceError
from harness.core.keys import content_key, file_digest
from harness.core.store import Store
from harness.host.debian_source import (
    PRISTINE,
    SourceTarball,
    file_at,
    package_in_cache,
    package_in_suite,
)
from harness.host.extract import PIPE, extract
from harness.host.git_source import Commit, local_commit, remote_commit
from harness.host.mirror import require_kernel
from harness.host.places import first_that_has
from harness.kernel.recipe import DebianBase, GitBase
from harness.kernel.sources import SOURCES, Tarball, source_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.core.progress import Progress

# With one of these kbuild builds in no other directory (top Makefile, outputmakefile).
_UNCLEAN = (".config", "include/config", "arch/arm64/include/generated")


@dataclass(frozen=True)
class Origin:
    """A base that exists. ``identity`` hashes its content; ``unpack`` writes it to a directory.

    ``title`` says in a few words what it is and in which version. ``made_for`` is the point release
    that patches for it were made for, "" if that is not known.
    """

    identity: str
    title: str
    unpack: Callable[[Path], None]
    made_for: str = ""

    @contextlib.contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Say in a PatchError which source the patch does not apply to."""
        try:
            yield
        except PatchError as error:
            cause = f"{error.cause}; the source is {self.title}"
            same = re.compile(rf"(?<![\d.]){re.escape(self.made_for)}(?!\.?\d)")
            if not same.search(self.title):  # the empty pattern is found everywhere
                cause += f", and the patches of kernel-configs/ were made for {self.made_for}"
            raise PatchError(cause, error.cure, error.details) from error


def find_origin(base: DebianBase | GitBase, cache: Path, progress: Progress) -> Origin:
    """Return the origin of a base.

    Raise BaseGoneError if every place of a Debian base answers that it is gone, NetworkError if it
    cannot be told, SourceError if a git base does not exist or no place is known.
    """
    if isinstance(base, DebianBase):
        return _debian(base, cache, progress)
    repository = Path(base.url).expanduser()
    if repository.is_dir():
        found = local_commit(repository.resolve(), base.revision)
        return _of_commit(found, f"{repository.name} {base.revision} ({found.commit[:12]})")
    return _of_commit(remote_commit(base.url, base.revision, cache, progress), base.revision)


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
    package, version = base.package, base.version
    known = source_places(package, version)
    if not known.suites and not known.pristine:
        raise SourceError(f"no place is known for {package}", f"add it to {SOURCES}")

    places: list[tuple[str, Callable[[], SourceTarball | Commit]]] = [
        (suite, functools.partial(package_in_suite, package, version, suite, cache, progress))
        for suite in known.suites
    ]
    # A point release does not change; of a series, a suite may have a newer one than the cache.
    in_cache = functools.partial(package_in_cache, package, version, cache, progress)
    places.insert(0 if version else len(places), ("the cache", in_cache))
    places += [
        (place.url, functools.partial(file_at, place.url, cache, progress))
        if isinstance(place, Tarball)
        else (place.url, functools.partial(remote_commit, place.url, place.tag, cache, progress))
        for place in known.pristine
    ]
    what = f"{package}={version}" if version else package
    found = first_that_has(what, places, f"the places are in {SOURCES}")
    if isinstance(found, SourceTarball):
        return _of_tarball(found, known.made_for)
    return _of_commit(found, f"Linux {version} from git, {PRISTINE}", known.made_for)


def _of_tarball(found: SourceTarball, made_for: str) -> Origin:
    def unpack(directory: Path) -> None:
        words = ["tar", "-xJf", str(found.path), "--strip-components=1", "-C", str(directory)]
        _extract(words, directory, "mte-harness clean tarballs, then run this again")

    return Origin(f"tarball:{file_digest(found.path)}", found.title, unpack, made_for)


def _of_commit(found: Commit, title: str, made_for: str = "") -> Origin:
    script = 'git -c "safe.directory=*" -C "$1" archive "$2" | tar -x -C "$3"'

    def unpack(directory: Path) -> None:
        words = [*PIPE, script, "unpack", str(found.repository), found.commit, str(directory)]
        _extract(words, directory, f"git -C {found.repository} fsck")

    return Origin(f"git:{found.tree}", title, unpack, made_for)


def _extract(argv: list[str], directory: Path, cure: str) -> None:
    failed = extract(argv, directory)
    if failed is not None:
        raise SourceError(
            f"cannot unpack: {failed[-1] if failed else argv[0]}", cure, "\n".join(failed)
        )
