# SPDX-License-Identifier: MIT
"""Which kernel an argument of a command names: a recipe, a source directory, or an Image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import UsageError
from harness.kernel.recipe import Recipe, load_recipe, recipe_names, recipe_path

DEFAULT_RECIPE = "stock"  # its fragments configure a source directory


@dataclass(frozen=True)
class RecipeKernel:
    """The kernel of a kernel.toml, which is loaded here once and for all."""

    recipe: Recipe


@dataclass(frozen=True)
class TreeKernel:
    """The kernel of a source directory, configured by ``fragments``."""

    path: Path
    fragments: tuple[Path, ...]


@dataclass(frozen=True)
class ImageKernel:
    """A kernel that is built already: ``path`` is its arm64 Image."""

    path: Path


KernelSource = RecipeKernel | TreeKernel | ImageKernel


def locate_kernel(argument: str, root: Path) -> KernelSource:
    """Return the kernel that ``argument`` names; nothing is built or copied.

    ``argument`` is a recipe (``stock``, ``known-bad/swapin``, or a directory that holds a
    kernel.toml), a kernel source directory, or an arm64 Image. ``root`` is the repository.
    Raise UsageError if the argument is none of these, RecipeError if the recipe is wrong.
    """
    if found := recipe_path(argument, root):
        return RecipeKernel(load_recipe(found, root))
    path = Path(argument).expanduser().resolve()
    if path.is_dir():
        default = recipe_path(DEFAULT_RECIPE, root)
        assert default is not None
        return TreeKernel(path, load_recipe(default, root).fragments)
    if path.is_file():
        return ImageKernel(path)
    raise UsageError(
        f"{argument!r} is neither a recipe, nor a kernel source directory, nor an Image",
        f"recipes: {', '.join(recipe_names(root))}",
    )
