# SPDX-License-Identifier: MIT
"""Kernels that hold many mutants: a parameter of the running kernel chooses one of them.

The tables are ``kernel-configs/*/mutants.toml``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.paths import resources
from harness.kernel.releases import parse_release

if TYPE_CHECKING:
    from harness.kernel.releases import Release


@dataclass(frozen=True)
class Mutant:
    """A mistake in the kernel of a recipe; ``caught_by``: the probe that finds it, ``""``: none."""

    recipe: str
    number: int
    name: str
    area: str
    wrong: str
    caught_by: str


@dataclass(frozen=True)
class Holder:
    """A recipe with mutants: ``parameter`` chooses one of those in ``table``.

    ``release``: that of the kernel, where the table says of mutants from when or until when they
    can exist.
    """

    table: str
    parameter: str
    release: Release | None = None

    @property
    def switch(self) -> str:
        """The file of a guest that takes the number of a mutant; 0 is none."""
        return f"/sys/module/kernel/parameters/{self.parameter}"


HOLDERS = {
    "mutants": Holder("mutants", "mte_mutant", (7, 3)),
    "mutants-6.12": Holder("mutants", "mte_mutant", (6, 12)),
    "reuse-mutants": Holder("reuse-mutants", "metadata_mutant"),
}


def mutants_of(recipe: str) -> tuple[Mutant, ...]:
    """Return the mutants of ``recipe`` that a program can see."""
    holder = HOLDERS[recipe]
    path = resources() / "kernel-configs" / holder.table / "mutants.toml"
    return tuple(
        Mutant(
            recipe, row["number"], row["name"], row["area"], row["wrong"], row.get("caught_by", "")
        )
        for row in tomllib.loads(path.read_text("utf-8"))["mutant"]
        if "equivalent" not in row and _exists(row, holder.release)
    )


def _exists(row: dict[str, Any], release: Release | None) -> bool:
    """Return whether a mutant can exist in a release ("6.13 25c17c4b55de": from or until 6.13)."""
    if release is None:
        return True
    since, until = row.get("since"), row.get("until")
    return not (since and release < parse_release(since)) and not (
        until and release >= parse_release(until)
    )
