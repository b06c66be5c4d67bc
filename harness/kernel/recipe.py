# SPDX-License-Identifier: MIT
"""A recipe, kernel-configs/<name>/kernel.toml: how a kernel is made. An unknown key is an error.

description = "one line, shown in reports"
inherits = "stock"            # base from there; its fragments, then ours; its patches, then ours
fragments = ["base", "mte"]   # kernel-configs/fragments/<x>.config; "./x.config": beside this file
optional = ["CONFIG_ZBUD"]    # symbols asked for that this tree may lack
patches = "patches/series"    # lists `git format-patch` files, one a line
mbox = "series.mbox"          # or one mbox
machine = "dram/tag-storage"  # the machine it runs on, unless the command line names another

[base]                        # exactly one of
debian = "linux-source-6.12"  #   a Debian package that holds /usr/src/<name>.tar.xz; with
                              #   version = "6.12.117", of that point release
git = "URL or path"           #   with revision = "v6.18"
directory = "path"            #   relative to kernel.toml

[known_bad]                   # kernel-configs/known-bad/ only
breaks = "what the patch breaks"
probes = ["swap_disk"]        # the probes that must fail
sometimes = ["ksm_merge"]     # probes that may fail, by chance; all others must pass
as = "known-bad/x"            # alone: the same bug as there, in another release

[cures]                       # bugs of docs/findings that the patches cure, and what it inherits
findings = ["ptrace-no-access"]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import RecipeError
from harness.core.toml_file import TomlFile

RECIPES = "kernel-configs"
FRAGMENTS = "fragments"
FILE = "kernel.toml"
SOURCE_PACKAGE = "linux-source-"  # the series follows: linux-source-6.12

TOP_KEYS = {"description", "inherits", "fragments", "optional", "patches", "mbox", "machine"}
BASE_KEYS = {"debian", "version", "git", "revision", "directory"}
KNOWN_BAD_KEYS = {"breaks", "probes", "sometimes"}
CURES_KEYS = {"findings"}


@dataclass(frozen=True)
class DebianBase:
    """A Debian package that holds /usr/src/<package>.tar.xz; it is not installed.

    ``version`` is the kernel's ("7.3.4"), or "" for the newest there.
    """

    package: str
    version: str = ""


@dataclass(frozen=True)
class GitBase:
    """A repository, by URL or path, and a revision as `git rev-parse` takes it."""

    url: str
    revision: str


@dataclass(frozen=True)
class DirectoryBase:
    """A kernel source directory of the user, used as it is."""

    path: Path


Base = DebianBase | GitBase | DirectoryBase


@dataclass(frozen=True)
class KnownBad:
    """The probes that must fail because of a bug made on purpose, and those that may."""

    probes: tuple[str, ...]
    sometimes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A kernel.toml, merged with the recipes that it inherits from.

    ``patches`` are series files or mboxes, in the order of application; ``own_patches`` is the
    last of them, unless all are inherited. ``optional`` are symbol names without ``CONFIG_``.
    ``machine`` is a machine's name as written at ``machine_place`` ("kernel.toml:3"), which may be
    wrong: the room vm/, above this one, knows the machines. ``cures`` are names of pages of
    docs/findings without ``.md``, which may be wrong: the suite knows the findings.
    """

    name: str
    path: Path
    description: str
    base: Base
    fragments: tuple[Path, ...]
    optional: frozenset[str]
    patches: tuple[Path, ...]
    own_patches: Path | None
    machine: str | None
    machine_place: str
    known_bad: KnownBad | None
    cures: frozenset[str]


def recipe_path(argument: str, root: Path) -> Path | None:
    """Return the kernel.toml that ``argument`` names, or None.

    ``argument`` is a recipe of the repository (``stock``, ``known-bad/swapin``) or any directory
    with a kernel.toml.
    """
    plain = not argument.startswith((".", "/"))
    places = [root / RECIPES / argument / FILE] if plain else []
    for path in (*places, Path(argument) / FILE):
        if path.is_file():
            return path
    return None


def recipe_names(root: Path) -> list[str]:
    """Return the names of the repository's recipes, sorted."""
    top = root / RECIPES
    return sorted(path.parent.relative_to(top).as_posix() for path in top.rglob(FILE))


def load_recipe(path: Path, root: Path) -> Recipe:
    """Return the recipe of the kernel.toml ``path``. Raise RecipeError with file and line."""
    return _load(path, root, ())


def _load(path: Path, root: Path, heirs: tuple[Path, ...]) -> Recipe:
    path = path.resolve()
    if path in heirs:
        raise RecipeError(f"{path}: inherits itself", "break the circle of `inherits`")
    toml = TomlFile(path, RecipeError, "correct the recipe")
    top = toml.table(toml.values, TOP_KEYS | {"base", "known_bad", "cures"}, "")
    parent = None
    if "inherits" in top:
        name = toml.text(top, "inherits")
        parent_path = root / RECIPES / name / FILE
        if not parent_path.is_file():
            raise toml.error(
                "inherits", f"there is no recipe {name!r}", "name one of kernel-configs/"
            )
        parent = _load(parent_path, root, (*heirs, path))
    base = _base(toml) if "base" in top else parent.base if parent else None
    if base is None:
        raise RecipeError(f"{path}: no [base]", "name a base, or a recipe to inherit it from")
    fragments = [_fragment(toml, name, root) for name in toml.texts(top, "fragments")]
    optional = frozenset(name.removeprefix("CONFIG_") for name in toml.texts(top, "optional"))
    patches = _patches(toml, top)
    machine, place = (parent.machine, parent.machine_place) if parent else (None, "")
    if "machine" in top:
        machine, place = toml.text(top, "machine"), toml.place("machine")
    return Recipe(
        name=_name(path, root),
        path=path,
        description=toml.text(top, "description"),
        base=base,
        fragments=(*(parent.fragments if parent else ()), *fragments),
        optional=optional | (parent.optional if parent else frozenset()),
        patches=(*(parent.patches if parent else ()), *patches),
        own_patches=patches[0] if patches else None,
        machine=machine,
        machine_place=place,
        known_bad=_known_bad(toml, root) if "known_bad" in top else None,
        cures=_cures(toml, top) | (parent.cures if parent else frozenset()),
    )


def _name(path: Path, root: Path) -> str:
    top = (root / RECIPES).resolve()
    inside = path.parent.is_relative_to(top)
    return path.parent.relative_to(top).as_posix() if inside else path.parent.name


def _base(toml: TomlFile) -> Base:
    base = toml.table(toml.values["base"], BASE_KEYS, "base")
    kinds = sorted(base.keys() - {"revision", "version"})
    if len(kinds) != 1:
        raise toml.error("base", "[base] must have exactly one of debian, git, directory")
    if ("revision" in base) != (kinds == ["git"]):
        raise toml.error("base", "revision goes with git, and git needs one")
    if "version" in base and kinds != ["debian"]:
        raise toml.error("version", "version goes with debian")
    match kinds[0]:
        case "debian":
            return _debian_base(toml, base)
        case "git":
            return GitBase(toml.text(base, "git"), toml.text(base, "revision"))
        case _:
            path = Path(toml.text(base, "directory")).expanduser()
            return DirectoryBase((toml.path.parent / path).resolve())


def _debian_base(toml: TomlFile, base: dict[str, Any]) -> DebianBase:
    package = toml.text(base, "debian")
    if "version" not in base:
        return DebianBase(package)
    version = toml.text(base, "version")
    series = re.escape(package.removeprefix(SOURCE_PACKAGE))
    if not re.fullmatch(rf"{series}\.\d+", version):
        raise toml.error("version", f"{version!r} is no point release of {package}")
    return DebianBase(package, version)


def _fragment(toml: TomlFile, name: str, root: Path) -> Path:
    local = name.startswith(("./", "../", "/"))
    path = toml.path.parent / name if local else root / RECIPES / FRAGMENTS / f"{name}.config"
    if not path.is_file():
        raise toml.error("fragments", f"there is no fragment {name!r} ({path})")
    return path


def _patches(toml: TomlFile, top: dict[str, Any]) -> list[Path]:
    found = []
    for key in ("patches", "mbox"):
        if key in top:
            path = toml.path.parent / toml.text(top, key)
            if not path.is_file():
                raise toml.error(key, f"there is no {path}")
            found.append(path)
    if len(found) > 1:
        raise toml.error("mbox", "patches and mbox exclude each other")
    return found


def _known_bad(toml: TomlFile, root: Path) -> KnownBad:
    if "as" in toml.values["known_bad"]:
        return _same_bug(toml, root)
    table = toml.table(toml.values["known_bad"], KNOWN_BAD_KEYS, "known_bad")
    toml.text(table, "breaks")  # for readers of the recipe
    return KnownBad(toml.texts(table, "probes"), toml.texts(table, "sometimes"))


def _same_bug(toml: TomlFile, root: Path) -> KnownBad:
    """Return the table of the recipe with the same bug in another release."""
    table = toml.table(toml.values["known_bad"], {"as"}, "known_bad")
    name = toml.text(table, "as")
    path = recipe_path(name, root)
    other = load_recipe(path, root).known_bad if path else None
    if other is None:
        raise toml.error("as", f"there is no known-bad recipe {name!r}")
    return other


def _cures(toml: TomlFile, top: dict[str, Any]) -> frozenset[str]:
    if "cures" not in top:
        return frozenset()
    names = toml.texts(toml.table(top["cures"], CURES_KEYS, "cures"), "findings")
    if not names:
        raise toml.error("cures", "[cures] must name findings", "remove the table")
    return frozenset(names)
