# SPDX-License-Identifier: MIT
"""KERNEL@MACHINE, and which machine is taken when the argument names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import RecipeError, UsageError
from harness.core.paths import resources
from harness.kernel import RecipeKernel, TreeKernel, locate_kernel
from harness.kernel.recipe import recipe_names
from harness.suite.target import parse_target, recipe_machine
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = 'description = "x"\nmachine = "%s"\n[base]\ndirectory = "."\n'


def test_which_machine_is_taken(tmp_path: Path) -> None:
    (tmp_path / "kernel.toml").write_text(RECIPE % "dram/unaware")
    recipe = str(tmp_path)
    assert parse_target("stock", None).spec.name == "emulator"
    assert parse_target("stock", "dram").spec.name == "dram/carveout"
    assert parse_target(recipe, None).spec.name == "dram/unaware"
    assert parse_target(recipe, "emulator").spec.name == "emulator"
    # The name of a family is the recipe's machine where that belongs to it.
    assert parse_target(recipe, "dram").spec.name == "dram/unaware"
    assert parse_target(recipe, "dram/carveout").spec.name == "dram/carveout"
    assert parse_target(recipe, "dram-two-regions/carveout").spec.name != "dram/unaware"
    target = parse_target(f"{recipe}@dram", "emulator")
    assert target.spec.name == "dram/unaware"
    assert target.kernel == locate_kernel(recipe, resources())


def test_an_at_in_a_path(tmp_path: Path) -> None:
    tree = tmp_path / "linux@work"
    tree.mkdir()
    source = parse_target(str(tree), None).kernel
    assert isinstance(source, TreeKernel)
    assert source.path == tree


def test_unknown_machines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no machine called 'toaster'"):
        parse_target("stock", "toaster")
    (tmp_path / "kernel.toml").write_text(RECIPE % "toaster")
    with pytest.raises(RecipeError, match=r"kernel.toml:2: there is no machine 'toaster'"):
        parse_target(str(tmp_path), None)


def test_unknown_machine_of_an_inherited_recipe_names_the_file_that_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, heir = tmp_path / "kernel-configs/parent", tmp_path / "kernel-configs/heir"
    for directory, text in (
        (parent, RECIPE % "toaster"),
        (heir, 'description = "h"\ninherits = "parent"\n'),
    ):
        directory.mkdir(parents=True)
        (directory / "kernel.toml").write_text(text)
    monkeypatch.setattr("harness.suite.target.resources", lambda: tmp_path)
    with pytest.raises(RecipeError, match=r"parent/kernel.toml:2: there is no machine"):
        parse_target("heir", None)


def test_every_recipe_of_the_repository_asks_for_a_machine_that_exists() -> None:
    root = resources()
    names = recipe_names(root)
    assert "tag-storage" in names
    for name in names:
        source = locate_kernel(name, root)
        assert isinstance(source, RecipeKernel)
        assert recipe_machine(source.recipe) in {None, *machine_names()}
