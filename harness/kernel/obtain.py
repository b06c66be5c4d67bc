# SPDX-License-Identifier: MIT
"""A kernel that was located, taken from the cache, or built or copied into it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import BaseGoneError
from harness.core.file_lock import locked
from harness.core.keys import content_key, key_of
from harness.core.store import Store
from harness.core.toolchain import find_toolchain
from harness.host.mirror import Mirror
from harness.kernel.adopt import adopt_image
from harness.kernel.artifact import Kernel, load_kernel
from harness.kernel.base import Origin, find_origin, pristine, unpacked
from harness.kernel.build import OBJECTS, Job, build_kernel
from harness.kernel.build_options import PLAIN
from harness.kernel.bundle import BundledKernel, obtain_bundled
from harness.kernel.config import Request, merge_fragments
from harness.kernel.deb_files import DebKernel, obtain_debs
from harness.kernel.debian_binary import DebianKernel, obtain_debian
from harness.kernel.history import prune_objects, remember_build
from harness.kernel.locate import ImageKernel, RecipeKernel
from harness.kernel.patches import Patch, apply_patches, read_patches
from harness.kernel.recipe import DebianBase, DirectoryBase, GitBase
from harness.kernel.start_config import read_start
from harness.kernel.workspace import build_place, link_tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.core.progress import Progress
    from harness.kernel.build_options import BuildOptions
    from harness.kernel.locate import KernelSource, TreeKernel

BUILDER = 1  # a part of each key: raise it when the same inputs give another kernel


def obtain_kernel(source: KernelSource, cache: Path, progress: Progress) -> Kernel:
    """Return the kernel of ``source``; what ``cache`` lacks is built, or copied if it is an Image.

    Raise BaseGoneError, SourceError, NetworkError, PatchError, ConfigError, BuildError, ImageError,
    CompilerMissingError, DiskFullError or ArtifactError.
    """
    if isinstance(source, ImageKernel):
        builds, programs = (Store(cache, kind, progress) for kind in ("builds", "programs"))
        return adopt_image(source.path, builds, programs, source.name)
    if isinstance(source, BundledKernel):
        return obtain_bundled(source, cache, progress)
    if isinstance(source, DebKernel):
        return obtain_debs(source, cache, progress)
    if isinstance(source, DebianKernel):
        return obtain_debian(source, cache, progress)
    builder = _Builder(cache, progress, source.options)
    if isinstance(source, RecipeKernel):
        return builder.recipe(source)
    return builder.tree(source)


@dataclass(frozen=True)
class _Additions:
    """What goes on top of a source."""

    patches: list[Patch]
    request: Request


class _Builder:
    """Builds kernels into one cache, with one toolchain and the user's ``options``."""

    def __init__(self, cache: Path, progress: Progress, options: BuildOptions) -> None:
        self._cache = cache
        self._progress = progress
        self._options = options
        self._toolchain = find_toolchain(llvm=options.llvm)
        self._builds = Store(cache, "builds", progress)

    def recipe(self, source: RecipeKernel) -> Kernel:
        """Return the kernel of a recipe."""
        recipe = source.recipe
        asked = merge_fragments(recipe.fragments)
        additions = _Additions(
            [*read_patches(recipe.patches, self._progress), *self._series()],
            self._request(asked, recipe.optional, source.features),
        )
        about = recipe.description
        if isinstance(recipe.base, DirectoryBase):
            directory = self._from_directory(recipe.base.path, additions)
        else:
            try:
                origin = find_origin(recipe.base, self._cache, self._progress)
            except BaseGoneError as error:
                raise error.for_kernel(recipe.name) from None
            directory = self._from_origin(origin, additions, keep=True)
            about = f"{about}; source: {origin.title}"
        unmodified = isinstance(recipe.base, DebianBase) and not recipe.patches
        kernel = self._load(directory, recipe.name, about, unmodified=unmodified)
        return dataclasses.replace(kernel, cures=recipe.cures)

    def tree(self, source: TreeKernel) -> Kernel:
        """Return the kernel of a source directory; its Kconfig may lack any symbol asked for."""
        asked = merge_fragments(source.fragments)
        additions = _Additions(
            self._series(), self._request(asked, frozenset(asked), source.features)
        )
        name, about = source.path.name, f"source directory {source.path}"
        if not source.revision:
            return self._load(self._from_directory(source.path, additions), name, about)
        base = GitBase(str(source.path), source.revision)
        origin = find_origin(base, self._cache, self._progress)
        # Not kept: of a tree that is bisected, each revision would take 1.6 GB.
        directory = self._from_origin(origin, additions, keep=False)
        return self._load(
            directory, f"{name}:{source.revision}", f"{origin.title} of {source.path}"
        )

    def _series(self) -> list[Patch]:
        """Return the patches of the series in the options, in order."""
        return [patch for series in self._options.series for patch in series.patches]

    def _request(
        self, asked: dict[str, str], may_lack: frozenset[str], features: Iterable[Path]
    ) -> Request:
        """Return the configuration that fragments and options ask for."""
        by_hand = dict(self._options.symbols)
        config = self._options.config
        built_in = (name for name, value in merge_fragments(features).items() if value == "y")
        return Request(
            {**asked, **by_hand},
            may_lack,
            frozenset(by_hand),
            read_start(Path(config)) if config else None,
            frozenset(built_in) - by_hand.keys(),
        )

    def _load(self, directory: Path, name: str, about: str, *, unmodified: bool = False) -> Kernel:
        """Return the built kernel. One that options changed does not speak for its release."""
        options = self._options
        notes = [about, *map(str, options.series)]
        if options.config:
            notes.append(f"configured by {options.config}")
        if options.symbols:
            notes.append("with " + ", ".join(f"{name}={value}" for name, value in options.symbols))
        if options.llvm:
            notes.append(f"built by clang {self._toolchain.version()}")
        plain = options == PLAIN
        return load_kernel(
            directory, name + options.suffix, "; ".join(notes), unmodified=unmodified and plain
        )

    def _from_origin(self, origin: Origin, additions: _Additions, *, keep: bool) -> Path:
        """Build ``origin``; ``keep`` its unpacked source for the next build of it."""
        key = self._key(origin.identity, additions)

        def make(into: Path) -> None:
            with build_place(self._cache, self._progress) as place:
                tree = place / "src"
                if keep:
                    source = pristine(origin, self._cache, self._progress)
                    self._progress.step("preparing the source")
                    link_tree(source, tree)
                else:
                    unpacked(origin, tree, self._progress)
                with origin.named_in_errors():
                    self._build_patched(tree, additions, key, into)

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
                        self._progress.step("preparing the source")
                        link_tree(mirror.tree, place / "src")
                        self._build_patched(place / "src", additions, key, into)
                    else:
                        compiler = "-llvm" if self._options.llvm else ""
                        name = f"{OBJECTS}-{additions.request.digest[:8]}{compiler}"
                        self._build(mirror.tree, mirror.tree / name, additions, key, into)
                        prune_objects(mirror.tree, OBJECTS)

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
                "config": additions.request.digest,
            }
        )

    def _build_patched(self, tree: Path, additions: _Additions, key: str, into: Path) -> None:
        """Build in ``tree``, a copy of a source, after the patches were applied to it."""
        if additions.patches:
            self._progress.step(f"applying {len(additions.patches)} patches")
            apply_patches(additions.patches, tree, self._progress)
        self._build(tree, tree / OBJECTS, additions, key, into)

    def _build(
        self, tree: Path, objects: Path, additions: _Additions, key: str, into: Path
    ) -> None:
        job = Job(tree, objects, additions.request, self._toolchain, key, self._cache)
        build_kernel(job, into, self._progress)
