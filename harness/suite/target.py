# SPDX-License-Identifier: MIT
"""What is put to the test: a kernel on a machine, out of the words of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.paths import repository_root
from harness.kernel.recipe import load_recipe, recipe_path
from harness.vm.spec import find_machine, machine_names

if TYPE_CHECKING:
    from harness.vm.spec import MachineSpec

DEFAULT_MACHINE = "emulator"


@dataclass(frozen=True)
class Target:
    """``kernel`` is a recipe name or a path, as the resolver takes it."""

    kernel: str
    machine: MachineSpec


def parse_target(argument: str, chosen: str | None) -> Target:
    """``KERNEL`` or ``KERNEL@MACHINE``.

    Without the second half the machine is ``chosen``; without that, the one of the recipe.
    UsageError for a machine that there is not, RecipeError for a recipe that is wrong.
    """
    kernel, at, name = argument.rpartition("@")
    # A directory's name may have an @ in it.
    if at and name in machine_names():
        return Target(kernel, find_machine(name))
    if chosen is None:
        root = repository_root()
        path = recipe_path(argument, root)
        chosen = load_recipe(path, root).machine if path else None
    return Target(argument, find_machine(chosen or DEFAULT_MACHINE))
