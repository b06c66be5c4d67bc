# SPDX-License-Identifier: MIT
"""Which kernel an argument of a command names: a recipe, a source, .deb files, or an Image."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from harness.core.errors import UsageError
from harness.kernel.build_options import PLAIN, TREE, BuildOptions
from harness.kernel.bundle import BundledKernel
from harness.kernel.deb_files import DebKernel, is_deb, kernel_in, kernel_of
from harness.kernel.debian_binary import PREFIX, DebianKernel, parse_debian
from harness.kernel.directory import Content, content_of
from harness.kernel.installed import installed_images
from harness.kernel.output_directory import BUILT_IMAGE, source_of_output
from harness.kernel.recipe import (
    FRAGMENTS,
    RECIPES,
    SOURCE_PACKAGE,
    DebianBase,
    Recipe,
    load_recipe,
    recipe_names,
    recipe_path,
)

_VERSION = re.compile(r"(\d+\.\d+)(?:\.\d+)?")
_PREFIXES = re.compile(r"^(?:linux-)?v?")  # of a version: in the name of a tag, of a tarball
DEFAULT_RECIPE = "stock"  # its fragments configure a source directory
# The fragments on top of --config: what a guest needs, and what would keep it from coming up.
NEEDS = ("needs", "obstacles")


@dataclass(frozen=True)
class RecipeKernel:
    """The kernel of a kernel.toml, which is loaded here once and for all.

    ``features``: with ``options.config``, fragments whose symbols are built in where that file has
    them as modules.
    """

    recipe: Recipe
    options: BuildOptions = PLAIN
    features: tuple[Path, ...] = ()


@dataclass(frozen=True)
class TreeKernel:
    """The kernel of a source directory, configured by ``fragments``.

    ``revision``: of the git repository ``path``, in place of the files there; ``""`` for those.
    ``features``: as those of RecipeKernel.
    """

    path: Path
    fragments: tuple[Path, ...]
    options: BuildOptions = PLAIN
    features: tuple[Path, ...] = ()
    revision: str = ""


@dataclass(frozen=True)
class ImageKernel:
    """A kernel that is built already: ``path`` is its arm64 Image.

    ``name`` stands in reports; ``""`` for the file's own name.
    """

    path: Path
    name: str = ""


KernelSource = RecipeKernel | TreeKernel | ImageKernel | DebKernel | DebianKernel | BundledKernel


def locate_kernel(argument: str, root: Path, options: BuildOptions = PLAIN) -> KernelSource:
    """Return the kernel that ``argument`` names; nothing is built or copied.

    ``argument`` is a recipe (``stock``, ``known-bad/swapin``, or a directory that holds a
    kernel.toml), a version (``7.3``, ``7.3.4``: Debian's source, configured as ``stock``), a
    kernel that Debian built (``debian:7.3.4``), a kernel source directory, a revision of one
    (``~/linux:v7.3``), an output directory (``make O=``), a directory with an installed kernel or
    with .deb files, a .deb file or an arm64 Image. ``root`` is the repository. Raise UsageError if
    the argument is none of these or more than one, or does not go with ``options``; RecipeError if
    the recipe is wrong; ImageError for a .deb file that is no kernel.
    """
    if not argument.strip():  # a variable that is not set would mean the present directory
        raise UsageError("KERNEL is an empty word", "write . for the present directory")
    path = Path(argument).expanduser().resolve()
    if argument.startswith(PREFIX):
        _refuse_options(argument, options)
        return parse_debian(argument)
    recipe = recipe_path(argument, root)
    version = _VERSION.fullmatch(argument)
    _check_unique(argument, recipe, path, version=bool(version))
    if recipe:
        return _of_recipe(argument, load_recipe(recipe, root), options)
    default = recipe_path(DEFAULT_RECIPE, root)
    assert default is not None
    stock = load_recipe(default, root)
    if version:
        return _of_version(stock, argument, version[1], options, root)
    if path.is_dir():
        return _of_directory(argument, path, stock, options, root)
    if path.is_file():
        _refuse_options(argument, options)
        return kernel_of(path) if is_deb(path) else ImageKernel(path)
    if found := split_revision(argument):
        if not found[1]:
            raise UsageError(
                f"{argument!r} names no revision after the colon", "such as HEAD or v7.3"
            )
        return _of_tree(found[0], stock, options, root, revision=found[1])
    raise UsageError(
        f"{argument!r} is neither a recipe, nor a version, nor a directory with a kernel (or "
        "DIR:REVISION of a source), nor a .deb, nor an Image",
        f"{_meant(argument, root)}recipes: {', '.join(_top_recipes(root))}; the others: "
        f"{RECIPES}/*/",
    )


def _meant(argument: str, root: Path) -> str:
    """Return the question whether a recipe or version that is spelled much the same is meant."""
    word = argument.strip().casefold()
    plain = _PREFIXES.sub("", word)
    close = [plain] if _VERSION.fullmatch(plain) else get_close_matches(word, recipe_names(root), 1)
    return f"did you mean {close[0]}? " if close else ""


def split_revision(argument: str) -> tuple[Path, str] | None:
    """Return directory and revision of DIR:REVISION; None if ``argument`` is something else.

    A revision may have a colon in it, and a directory, too: the longest directory that exists
    counts. The revision may be ``""``.
    """
    if Path(argument).expanduser().exists():
        return None
    for colon in reversed([match.start() for match in re.finditer(":", argument)]):
        directory = Path(argument[:colon]).expanduser()
        if colon and directory.is_dir():
            return directory.resolve(), argument[colon + 1 :]
    return None


def _refuse_options(argument: str, options: BuildOptions) -> None:
    """Raise UsageError for options about the build of a kernel that is built already."""
    if options != PLAIN:
        names = ", ".join(dict.fromkeys(word.partition("=")[0] for word in options.words()))
        raise UsageError(
            f"{names} cannot change {argument}, which is built already", "name a source instead"
        )


def _of_recipe(argument: str, recipe: Recipe, options: BuildOptions) -> RecipeKernel:
    if options.config:
        raise UsageError(
            f"{argument} is a recipe, which has its own configuration: --config is for a version "
            "or a source directory",
            "change single symbols with --set, or write a recipe with other fragments",
        )
    return RecipeKernel(recipe, options)


def _of_directory(
    argument: str, path: Path, stock: Recipe, options: BuildOptions, root: Path
) -> KernelSource:
    """Return the kernel of a directory, by what is in it."""
    content = content_of(path)
    if content is Content.OUTPUT:
        return _of_output(path, stock, options, root)
    if content is Content.SOURCE:
        return _of_tree(path, stock, options, root)
    _refuse_options(argument, options)
    if content is Content.PACKAGES:
        return kernel_in(path)
    images = installed_images(path)
    if len(images) > 1:
        names = ", ".join(map(str, images.values()))
        raise UsageError(f"{path} has {len(images)} kernels: {names}", "give one of these")
    (image,) = images.values()
    return ImageKernel(image)


def _of_output(path: Path, stock: Recipe, options: BuildOptions, root: Path) -> KernelSource:
    """Return the kernel of an output directory of kbuild.

    With ``--config tree`` it stands for its source, configured as it is.
    """
    source = source_of_output(path)
    assert source is not None
    if options.config == TREE:
        return _of_tree(source, stock, options.located(path), root)
    again = f"name the source: {source} --config={path}/.config"
    if options != PLAIN:
        raise UsageError(f"{path} is an output directory, of which the Image is taken", again)
    if not (path / BUILT_IMAGE).is_file():
        raise UsageError(
            f"{path} is an output directory of the source {source}, without a {BUILT_IMAGE}",
            f"build it, or {again}",
        )
    return ImageKernel(path / BUILT_IMAGE, path.name)


def _of_tree(
    path: Path, stock: Recipe, options: BuildOptions, root: Path, revision: str = ""
) -> TreeKernel:
    options = options.located(path)
    if options.config:
        return TreeKernel(path, _needs(root), options, stock.fragments, revision)
    return TreeKernel(path, stock.fragments, options, (), revision)


def _top_recipes(root: Path) -> list[str]:
    """Return the names of the recipes that are in no directory of recipes (known-bad/…)."""
    return [name for name in recipe_names(root) if "/" not in name]


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


def _of_version(
    stock: Recipe, version: str, series: str, options: BuildOptions, root: Path
) -> RecipeKernel:
    """Return ``stock`` on another base: ``version`` "7.3.4" of the ``series`` "7.3"."""
    exact = version if version != series else ""
    options = options.located(None)
    recipe = dataclasses.replace(
        stock,
        name=version,
        description=f"Linux {version}"
        + ("" if options.series else ", unmodified")
        + ("" if options.config else f", configured as {stock.name}"),
        base=DebianBase(f"{SOURCE_PACKAGE}{series}", exact),
    )
    if not options.config:
        return RecipeKernel(recipe, options)
    recipe = dataclasses.replace(recipe, fragments=_needs(root))
    return RecipeKernel(recipe, options, stock.fragments)


def _needs(root: Path) -> tuple[Path, ...]:
    return tuple(root / RECIPES / FRAGMENTS / f"{name}.config" for name in NEEDS)
