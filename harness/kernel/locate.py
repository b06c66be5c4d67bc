# SPDX-License-Identifier: MIT
"""From the word that names a kernel to the kernel."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.core.errors import UsageError
from harness.core.run_logged import GRACE_S, disk_full, disk_full_named, says_disk_full
from harness.core.store import Store
from harness.core.toolchain import find_toolchain
from harness.kernel.artifact import Kernel, key_of, load_kernel
from harness.kernel.base import find_origin, pristine
from harness.kernel.build import OBJECTS, Job, build_kernel
from harness.kernel.config import merge_fragments, render_config
from harness.kernel.history import remember_build
from harness.kernel.linux_image import adopt_image
from harness.kernel.mirror import Mirror
from harness.kernel.patches import Patch, apply_patches, read_patches
from harness.kernel.recipe import DirectoryBase, Recipe, load_recipe, recipe_names, recipe_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.core.progress import Progress

BUILDER = 1  # raise it when the same inputs give another kernel
DEFAULT_RECIPE = "stock"  # its fragments configure a source directory


def resolve(argument: str, *, root: Path, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel that ``argument`` names; it is built if ``cache`` does not have it.

    ``argument`` is a recipe (``stock``, ``known-bad/swapin``, or a directory that holds a
    kernel.toml), a kernel source directory, or an arm64 Image. ``root`` is the repository.
    Raises a HarnessError that says what is wrong with it.
    """
    if found := recipe_path(argument, root):
        return _Resolver(cache, progress).recipe(load_recipe(found, root))
    path = Path(argument).expanduser().resolve()
    if path.is_dir():
        default = recipe_path(DEFAULT_RECIPE, root)
        assert default is not None
        fragments = load_recipe(default, root).fragments
        return _Resolver(cache, progress).directory(path, merge_fragments(fragments))
    if path.is_file():
        return adopt_image(path, Store(cache, "builds", progress))
    raise UsageError(
        f"{argument!r} is no recipe, no kernel source directory and no Image",
        f"recipes: {', '.join(recipe_names(root))}",
    )


class _Resolver:
    """What the ways to a built kernel share."""

    def __init__(self, cache: Path, progress: Progress) -> None:
        self._cache = cache
        self._progress = progress
        self._toolchain = find_toolchain()
        self._builds = Store(cache, "builds", progress)

    def recipe(self, recipe: Recipe) -> Kernel:
        """Return the kernel of a recipe."""
        asked = merge_fragments(recipe.fragments)
        patches = read_patches(recipe.patches)
        if isinstance(recipe.base, DirectoryBase):
            with self._mirror(recipe.base.path) as (mirror, digest):
                key = self._key(f"directory:{digest}", patches, asked)
                if patches:
                    make = self._in_copy(lambda: mirror.tree, patches, asked, recipe.optional, key)
                else:
                    make = self._in_mirror(mirror, asked, recipe.optional, key)
                directory = self._builds.obtain(key, make)
                remember_build(mirror.home, directory)
        else:
            origin = find_origin(recipe.base, self._cache, self._progress)
            key = self._key(origin.identity, patches, asked)
            make = self._in_copy(
                lambda: pristine(origin, self._cache, self._progress),
                patches,
                asked,
                recipe.optional,
                key,
            )
            directory = self._builds.obtain(key, make)
        return load_kernel(directory, recipe.name, recipe.description)

    def directory(self, path: Path, asked: Mapping[str, str]) -> Kernel:
        """Return the kernel of a source directory; it may lack symbols of newer or older trees."""
        with self._mirror(path) as (mirror, digest):
            key = self._key(f"directory:{digest}", [], asked)
            directory = self._builds.obtain(key, self._in_mirror(mirror, asked, None, key))
            remember_build(mirror.home, directory)
        return load_kernel(directory, path.name, f"source directory {path}")

    @contextlib.contextmanager
    def _mirror(self, path: Path) -> Iterator[tuple[Mirror, str]]:
        """Hold the up-to-date mirror of ``path``, with the hash of its content."""
        home = self._cache / "trees" / hashlib.sha256(str(path).encode()).hexdigest()[:16]
        home.mkdir(parents=True, exist_ok=True)
        text = f"another run is building {path}; waiting for it"
        with locked(home / "lock", text, self._progress):
            mirror = Mirror(path, home)
            yield mirror, mirror.refresh(self._progress)

    def _key(self, source: str, patches: list[Patch], asked: Mapping[str, str]) -> str:
        return key_of(
            {
                "builder": BUILDER,
                "toolchain": self._toolchain.identity,
                "source": source,
                "patches": [patch.digest for patch in patches],
                "config": _config_digest(asked),
            }
        )

    def _in_mirror(
        self,
        mirror: Mirror,
        asked: Mapping[str, str],
        may_lack: frozenset[str] | None,
        key: str,
    ) -> Callable[[Path], None]:
        """Return what builds in the mirror, where the objects of the last time are."""

        def make(into: Path) -> None:
            with build_place(self._cache, self._progress):
                objects = mirror.tree / f"{OBJECTS}-{_config_digest(asked)[:8]}"
                job = Job(mirror.tree, objects, asked, may_lack, key, self._cache)
                build_kernel(job, into, self._progress)

        return make

    def _in_copy(
        self,
        find_base: Callable[[], Path],
        patches: list[Patch],
        asked: Mapping[str, str],
        may_lack: frozenset[str],
        key: str,
    ) -> Callable[[Path], None]:
        """Return what builds in a copy of the base, with the patches on top."""

        def make(into: Path) -> None:
            with build_place(self._cache, self._progress) as place:
                base = find_base()
                tree = place / "src"
                self._progress.step("preparing the source")
                link_tree(base, tree)
                if patches:
                    self._progress.step(f"applying {len(patches)} patches")
                    apply_patches(patches, tree, self._progress)
                job = Job(tree, tree / OBJECTS, asked, may_lack, key, self._cache)
                build_kernel(job, into, self._progress)

        return make


def _config_digest(asked: Mapping[str, str]) -> str:
    return hashlib.sha256(render_config(asked).encode()).hexdigest()


@contextlib.contextmanager
def build_place(cache: Path, progress: Progress) -> Iterator[Path]:
    """Hold the one place of ``cache`` where a kernel is being built: an empty directory.

    One build at a time: two would only share the CPUs. What a killed run left is swept first.
    """
    place = cache / "work"
    with locked(cache / "work.lock", "another run is building a kernel; waiting for it", progress):
        shutil.rmtree(place, ignore_errors=True)
        try:
            with disk_full_named(cache):
                place.mkdir()
                yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def sweep_build(cache: Path) -> None:
    """Remove what a killed run left of its build, unless another run is building now.

    The make of a killed run may still be ending, and write, for a moment.
    """
    place = cache / "work"
    end = time.monotonic() + GRACE_S
    with contextlib.suppress(Timeout), FileLock(cache / "work.lock", timeout=0):
        while place.is_dir() and time.monotonic() < end:
            shutil.rmtree(place, ignore_errors=True)
            time.sleep(0.1)


@contextlib.contextmanager
def locked(path: Path, text: str, progress: Progress) -> Iterator[None]:
    """Hold the file lock ``path``; if another has it, say ``text`` and wait."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.step(text)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def link_tree(base: Path, tree: Path) -> None:
    """Make ``tree`` a copy of ``base`` by hard links: 2 s, where unpacking takes 20.

    Safe because nothing writes into a source file: git-apply replaces files, kbuild writes into
    an object directory of its own.
    """
    done = subprocess.run(
        ["cp", "-al", str(base), str(tree)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        if says_disk_full(done.stderr):
            raise disk_full(tree)
        raise OSError(done.stderr)
