# SPDX-License-Identifier: MIT
"""``mte-harness series tree|refresh|check``: edit a recipe's patches, and check each of them."""

from __future__ import annotations

from pathlib import Path

import click

from harness.core.errors import UsageError
from harness.core.paths import cache_root, checkout, resources
from harness.core.progress import plain_progress
from harness.jobs.series_check import check_series
from harness.kernel.recipe import Recipe, load_recipe, recipe_path
from harness.series.edit import make_tree, write_back

directory_argument = click.argument(
    "directory", required=False, type=click.Path(path_type=Path, resolve_path=True)
)


@click.group("series")
def series_group() -> None:
    """Edit and check the patches of a recipe."""


@series_group.command("tree")
@click.argument("recipe")
@directory_argument
def tree_command(recipe: str, directory: Path | None) -> None:
    """Make a git repository of RECIPE: its base, then one commit for each patch.

    DIRECTORY is linux-RECIPE by default.
    """
    found = find_recipe(recipe)
    tree = directory or _default_directory(found)
    make_tree(found, tree, cache_root(), plain_progress())
    click.echo(f"{tree}: edit and commit, then mte-harness series refresh {recipe} {tree}")


@series_group.command("refresh")
@click.argument("recipe")
@directory_argument
def refresh_command(recipe: str, directory: Path | None) -> None:
    """Write the commits of DIRECTORY back as the patches of RECIPE."""
    checkout("mte-harness series refresh")
    found = find_recipe(recipe)
    for path in write_back(found, directory or _default_directory(found)):
        click.echo(path)


@series_group.command("check")
@click.argument("recipe", default="tag-storage")
@click.option("--form", "form_only", is_flag=True, help="Only what needs no compiler.")
@click.option("--patch", "numbers", type=int, multiple=True, help="Only the Nth patch; repeatable.")
def check_command(recipe: str, numbers: tuple[int, ...], *, form_only: bool) -> int:
    """Check that each patch of RECIPE can be posted on its own. Exit status 1 if one cannot."""
    return check_series(
        find_recipe(recipe), numbers, cache_root(), plain_progress(), form_only=form_only
    )


def find_recipe(name: str) -> Recipe:
    """Return the recipe of this name or directory; UsageError if there is none."""
    path = recipe_path(name, resources())
    if path is None:
        raise UsageError(f"there is no recipe {name!r}", "see kernel-configs/")
    return load_recipe(path, resources())


def _default_directory(recipe: Recipe) -> Path:
    return Path("linux-" + recipe.name.replace("/", "-")).resolve()
