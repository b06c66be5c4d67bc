# SPDX-License-Identifier: MIT
"""What is put to the test: a kernel on a machine, as an argument KERNEL[@MACHINE] names them.

Or a board, which is both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import RecipeError, UsageError
from harness.core.paths import resources
from harness.kernel import (
    BoardKernel,
    BundledKernel,
    KernelSource,
    RecipeKernel,
    find_bundled,
    locate_kernel,
)
from harness.kernel.board_address import is_board, parse_board
from harness.kernel.build_options import PLAIN
from harness.vm.spec import BOARD, find_machine, is_family_of, machine_names

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel.build_options import BuildOptions
    from harness.kernel.recipe import Recipe
    from harness.vm.spec import MachineSpec

DEFAULT_MACHINE = "emulator"


@dataclass(frozen=True)
class Target:
    """A kernel that was located, not yet built, and the data of the machine that it runs on.

    ``append`` are words after those of the machine on the kernel's command line.
    """

    kernel: KernelSource | BoardKernel
    spec: MachineSpec
    append: str = ""


def split_target(argument: str) -> tuple[str, str]:
    """Return kernel and machine of ``KERNEL@MACHINE``; the machine is "" where none is named."""
    if is_board(argument):
        return argument, ""
    kernel, at, name = argument.rpartition("@")
    # The name of a directory may have an @ in it.
    return (kernel, name) if at and name in machine_names() else (argument, "")


def parse_target(
    argument: str,
    chosen: str | None,
    append: str = "",
    options: BuildOptions = PLAIN,
    bundle: Path | None = None,
) -> Target:
    """Return the target of ``KERNEL`` or ``KERNEL@MACHINE``, with ``append`` and ``options``.

    Without ``@MACHINE`` the machine is ``chosen``; without that, the recipe's. The name of a family
    (``dram``) means the recipe's machine, if it is of that family. With ``bundle`` the kernel is
    taken from that directory, and needs no source. Raise UsageError for a kernel or machine that
    does not exist or a kernel that does not go with the options, RecipeError for a recipe that is
    wrong, ArtifactError for a damaged bundle.
    """
    kernel, named = split_target(argument)
    chosen = named or chosen
    if is_board(argument):
        return _board(argument, chosen, append, options)
    source: KernelSource
    if bundle is not None:
        source = find_bundled(bundle, kernel)
    else:
        source = locate_kernel(kernel, resources(), options)
    own = machine_of(source)
    if own is not None and (chosen is None or is_family_of(chosen, own)):
        chosen = own
    return Target(source, find_machine(chosen or DEFAULT_MACHINE), append)


def _board(argument: str, machine: str | None, append: str, options: BuildOptions) -> Target:
    """Return the target of a board. Of ``options`` it takes only ``config``."""
    others = dataclasses.replace(options, config="").words()
    if machine or append or others:
        what = f"--machine {machine}" if machine else "--append" if append else others[0]
        raise UsageError(
            f"{argument} is a board, which runs its kernel already: not with {what}",
            "leave it out, or name a kernel for guests",
        )
    return Target(parse_board(argument, options.located(None).config), BOARD)


def guest_kernel(target: Target) -> KernelSource:
    """Return the kernel of a target that guests boot. Raise UsageError for a board."""
    if isinstance(target.kernel, BoardKernel):
        raise UsageError(
            f"{target.kernel} is a board, and this command boots guests",
            "a board is for `validate`, `run` and pytest --kernel",
        )
    return target.kernel


def machine_of(source: KernelSource) -> str | None:
    """Return the name of the machine that a kernel's recipe asks for, None without one."""
    if isinstance(source, BundledKernel):
        return source.machine
    return recipe_machine(source.recipe) if isinstance(source, RecipeKernel) else None


def recipe_machine(recipe: Recipe) -> str | None:
    """Return the name of the machine that a recipe asks for. Raise RecipeError for an unknown one.

    The check is here and not in recipe.py because kernel/ lies below vm/.
    """
    if recipe.machine is not None and recipe.machine not in machine_names():
        raise RecipeError(
            f"{recipe.machine_place}: there is no machine {recipe.machine!r}",
            f"one of: {', '.join(machine_names())}",
        )
    return recipe.machine
