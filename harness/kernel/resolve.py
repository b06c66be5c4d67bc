# SPDX-License-Identifier: MIT
"""From the word that names a kernel to the kernel."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.errors import UsageError
from harness.kernel.artifact import Kernel, key_of, load_kernel
from harness.kernel.build import OBJECTS, Job, build_kernel
from harness.kernel.command import disk_full, disk_full_named, says_disk_full
from harness.kernel.config import merge_fragments, render_config
from harness.kernel.patches import apply_patches, read_patches
from harness.kernel.recipe import DirectoryBase, Recipe, load_recipe, recipe_names, recipe_path
from harness.kernel.source import find_origin, pristine
from harness.kernel.toolchain import find_toolchain
from harness.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.progress import Progress

BUILDER = 1  # raise it when the same inputs give another kernel


def resolve(argument: str, *, root: Path, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel that ``argument`` names, built and published in ``cache`` if it is not there.

    ``argument`` is a recipe (``stock``, ``known-bad/swapin``, or a directory that holds a
    kernel.toml), a kernel source directory, or an arm64 Image. ``root`` is the repository.
    Raises a HarnessError that says what is wrong with it.
    """
    if found := recipe_path(argument, root):
        return _recipe(load_recipe(found, root), cache, progress)
    raise UsageError(
        f"{argument!r} is no recipe, no kernel source directory and no Image",
        f"recipes: {', '.join(recipe_names(root))}",
    )


def _recipe(recipe: Recipe, cache: Path, progress: Progress) -> Kernel:
    toolchain = find_toolchain()
    asked = merge_fragments(recipe.fragments)
    patches = read_patches(recipe.patches)
    assert not isinstance(recipe.base, DirectoryBase)
    origin = find_origin(recipe.base, cache, progress)
    key = key_of(
        {
            "builder": BUILDER,
            "toolchain": toolchain.identity,
            "source": origin.identity,
            "patches": [patch.digest for patch in patches],
            "config": hashlib.sha256(render_config(asked).encode()).hexdigest(),
        }
    )

    def make(into: Path) -> None:
        with build_place(cache, progress) as place:
            base = pristine(origin, cache, progress)
            progress.step(f"preparing the source of {recipe.name}")
            tree = place / "src"
            link_tree(base, tree)
            progress.step(f"applying {len(patches)} patches")
            apply_patches(patches, tree, progress)
            job = Job(tree, tree / OBJECTS, asked, recipe.optional, key, cache)
            build_kernel(job, into, progress)

    directory = Store(cache, "builds", progress).obtain(key, make)
    return load_kernel(directory, recipe.name, recipe.description)


@contextlib.contextmanager
def build_place(cache: Path, progress: Progress) -> Iterator[Path]:
    """Hold the one place of ``cache`` where a kernel is being built: an empty directory.

    One build at a time: two would only share the CPUs. What a killed run left is swept first.
    """
    place = cache / "work"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "work.lock", "another run is building a kernel; waiting for it", progress):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


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
    the object directory.
    """
    with disk_full_named(tree):
        done = subprocess.run(
            ["cp", "-al", str(base), str(tree)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            if says_disk_full(done.stderr):
                raise disk_full(tree)
            raise OSError(done.stderr)
