# SPDX-License-Identifier: MIT
"""Which kernel an argument of a command names: a recipe, a source directory, or an Image."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import UsageError
from harness.kernel.debian_binary import PREFIX, DebianKernel, parse_debian
from harness.kernel.recipe import DebianBase, Recipe, load_recipe, recipe_names, recipe_path

_VERSION = re.compile(r"(\d+\.\d+)(?:\.\d+)?")
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


KernelSource = RecipeKernel | TreeKernel | ImageKernel | DebianKernel


def locate_kernel(argument: str, root: Path) -> KernelSource:
    """Return the kernel that ``argument`` names; nothing is built or copied.

    ``argument`` is a recipe (``stock``, ``known-bad/swapin``, or a directory that holds a
    kernel.toml), a version (``7.3``, ``7.3.4``: Debian's source, configured as ``stock``), a
    kernel that Debian built (``debian:7.3.4``), a kernel source directory, or an arm64 Image.
    ``root`` is the repository. Raise UsageError if the argument is none of these or more than
    one, RecipeError if the recipe is wrong.
    """
    path = Path(argument).expanduser().resolve()
    if argument.startswith(PREFIX):
        return parse_debian(argument)
    recipe = recipe_path(argument, root)
    version = _VERSION.fullmatch(argument)
    _check_unique(argument, recipe, path, version=bool(version))
    if recipe:
        return RecipeKernel(load_recipe(recipe, root))
    default = recipe_path(DEFAULT_RECIPE, root)
    assert default is not None
    stock = load_recipe(default, root)
    if version:
        return RecipeKernel(_of_version(stock, argument, version[1]))
    if path.is_dir():
        return TreeKernel(path, stock.fragments)
    if path.is_file():
        return ImageKernel(path)
    raise UsageError(
        f"{argument!r} is neither a recipe, nor a version, nor a kernel source directory, nor an "
        "Image",
        f"recipes: {', '.join(recipe_names(root))}",
    )


def _check_unique(argument: str, recipe: Path | None, path: Path, *, version: bool) -> None:
    """Raise UsageError for a word that means more than one kernel."""
    readings = []
    if recipe:
        readings.append(f"the recipe {recipe.parent}")
    if version:
        readings.append(f"Linux {argument}")
    if path.exists() and (recipe is None or path != recipe.resolve().parent):
        readings.append(f"the {'directory' if path.is_dir() else 'file'} {path}")
    if len(readings) > 1:
        raise UsageError(
            f"{argument!r} may be {' or '.join(readings)}",
            "write ./ before a directory or file, and the recipe as its path",
        )


def _of_version(stock: Recipe, version: str, series: str) -> Recipe:
    """Return ``stock`` on another base: ``version`` "7.3.4" of the ``series`` "7.3"."""
    exact = version if version != series else ""
    return dataclasses.replace(
        stock,
        name=version,
        description=f"Debian's Linux {version}, unmodified, configured as {stock.name}",
        base=DebianBase(f"linux-source-{series}", exact),
    )
