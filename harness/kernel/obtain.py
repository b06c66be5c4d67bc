# SPDX-License-Identifier: MIT
"""A kernel that was located, taken from the cache, or built or copied into it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.file_lock import locked
from harness.core.keys import content_key, key_of
from harness.core.store import Store
from harness.core.toolchain import find_toolchain
from harness.kernel.adopt import adopt_image
from harness.kernel.artifact import Kernel, load_kernel
from harness.kernel.base import find_origin, pristine
from harness.kernel.build import OBJECTS, Job, build_kernel
from harness.kernel.config import merge_fragments, render_config
from harness.kernel.debian_binary import DebianKernel, obtain_debian
from harness.kernel.history import remember_build
from harness.kernel.locate import ImageKernel, RecipeKernel
from harness.kernel.mirror import Mirror
from harness.kernel.patches import Patch, apply_patches, read_patches
from harness.kernel.recipe import DebianBase, DirectoryBase
from harness.kernel.workspace import build_place, link_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.locate import KernelSource, TreeKernel
    from harness.kernel.recipe import GitBase, Recipe

BUILDER = 1  # a part of each key: raise it when the same inputs give another kernel


def obtain_kernel(source: KernelSource, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel of ``source``; what ``cache`` lacks is built, or copied if it is an Image.

    Raise SourceError, NetworkError, PatchError, ConfigError, BuildError, ImageError,
    CompilerMissingError, DiskFullError or ArtifactError.
    """
    if isinstance(source, ImageKernel):
        return adopt_image(source.path, Store(cache, "builds", progress))
    if isinstance(source, DebianKernel):
        return obtain_debian(source, cache, progress)
    builder = _Builder(cache, progress)
    if isinstance(source, RecipeKernel):
        return builder.recipe(source.recipe)
    return builder.tree(source)


@dataclass(frozen=True)
class _Additions:
    """What goes on top of a source. ``may_lack``: symbols that the tree may lack, None for any."""

    patches: list[Patch]
    config: Mapping[str, str]
    may_lack: frozenset[str] | None

    @property
    def config_digest(self) -> str:
        """SHA-256 of the configuration asked for, in hex."""
        return hashlib.sha256(render_config(self.config).encode()).hexdigest()


class _Builder:
    """Builds kernels into one cache, with one toolchain."""

    def __init__(self, cache: Path, progress: Progress) -> None:
        self._cache = cache
        self._progress = progress
        self._toolchain = find_toolchain()
        self._builds = Store(cache, "builds", progress)

    def recipe(self, recipe: Recipe) -> Kernel:
        """Return the kernel of a recipe."""
        additions = _Additions(
            read_patches(recipe.patches, self._progress),
            merge_fragments(recipe.fragments),
            recipe.optional,
        )
        if isinstance(recipe.base, DirectoryBase):
            directory = self._from_directory(recipe.base.path, additions)
        else:
            directory = self._from_base(recipe.base, additions)
        unmodified = isinstance(recipe.base, DebianBase) and not recipe.patches
        return load_kernel(directory, recipe.name, recipe.description, unmodified=unmodified)

    def tree(self, source: TreeKernel) -> Kernel:
        """Return the kernel of a source directory; its Kconfig may lack any symbol asked for."""
        additions = _Additions([], merge_fragments(source.fragments), None)
        directory = self._from_directory(source.path, additions)
        return load_kernel(directory, source.path.name, f"source directory {source.path}")

    def _from_base(self, base: DebianBase | GitBase, additions: _Additions) -> Path:
        origin = find_origin(base, self._cache, self._progress)
        key = self._key(origin.identity, additions)

        def make(into: Path) -> None:
            with build_place(self._cache, self._progress) as place:
                source = pristine(origin, self._cache, self._progress)
                self._build_copy(source, place / "src", additions, key, into)

        return self._builds.obtain(key, make)

    def _from_directory(self, path: Path, additions: _Additions) -> Path:
        """Build in the mirror of ``path``, where the objects of the last build are.

        With patches, build in a copy of the mirror: the mirror stays as the user's tree is.
        """
        home = self._cache / "trees" / content_key(str(path))
        home.mkdir(parents=True, exist_ok=True)
        waiting = f"another run is building {path}; waiting for it"
        with locked(home / "lock", waiting, self._progress):
            mirror = Mirror(path, home)
            key = self._key(f"directory:{mirror.refresh(self._progress)}", additions)

            def make(into: Path) -> None:
                with build_place(self._cache, self._progress) as place:
                    if additions.patches:
                        self._build_copy(mirror.tree, place / "src", additions, key, into)
                    else:
                        name = f"{OBJECTS}-{additions.config_digest[:8]}"
                        self._build(mirror.tree, mirror.tree / name, additions, key, into)

            directory = self._builds.obtain(key, make)
            remember_build(home, directory)
        return directory

    def _key(self, source: str, additions: _Additions) -> str:
        return key_of(
            {
                "builder": BUILDER,
                "toolchain": self._toolchain.identity,
                "source": source,
                "patches": [patch.digest for patch in additions.patches],
                "config": additions.config_digest,
            }
        )

    def _build_copy(
        self, source: Path, tree: Path, additions: _Additions, key: str, into: Path
    ) -> None:
        """Build in ``tree``, which becomes a copy of ``source`` with the patches on top."""
        self._progress.step("preparing the source")
        link_tree(source, tree)
        if additions.patches:
            self._progress.step(f"applying {len(additions.patches)} patches")
            apply_patches(additions.patches, tree, self._progress)
        self._build(tree, tree / OBJECTS, additions, key, into)

    def _build(
        self, tree: Path, objects: Path, additions: _Additions, key: str, into: Path
    ) -> None:
        job = Job(tree, objects, additions.config, additions.may_lack, key, self._cache)
        build_kernel(job, into, self._progress)
