# SPDX-License-Identifier: MIT
"""The table of known-bad kernels: each must fail the probes that its recipe names, and no others.

Where a kernel shows what an earlier owner left in a page, it is chance which probes
come by such a page: the recipe names them as well, as those that sometimes fail.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import RecipeError
from harness.core.paths import repository_root
from harness.jobs import validate
from harness.kernel.recipe import RECIPES, Recipe, load_recipe, recipe_names, recipe_path
from harness.report import json_file
from harness.suite.report_files import REPORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.suite.session import Session

PREFIX = "known-bad/"


@dataclass(frozen=True)
class Row:
    """One kernel: the probes that had to fail, those that did, and how long it took."""

    recipe: Recipe
    expected: frozenset[str]
    sometimes: frozenset[str]
    failed: frozenset[str]
    ran: int
    seconds: float

    @property
    def proved(self) -> bool:
        """Whether all probes failed that must, and none that must not, of those that ran."""
        return (
            bool(self.ran and self.expected)
            and self.expected <= self.failed <= self.expected | self.sometimes
        )

    @property
    def difference(self) -> str:
        """What was not as the recipe says, in words; empty when it was."""
        words = [] if self.expected else ["the recipe names no probe yet"]
        if missed := self.expected - self.failed:
            words.append(f"should have failed: {', '.join(sorted(missed))}")
        if surplus := self.failed - self.expected - self.sometimes:
            words.append(f"failed as well: {', '.join(sorted(surplus))}")
        return "; ".join(words) or ("" if self.ran else "no probe ran")


def recipes(names: Sequence[str], rotate: int | None) -> tuple[Recipe, ...]:
    """The named known-bad recipes, or all; ``rotate`` picks that many, others each day."""
    root = repository_root()
    known = [name for name in recipe_names(root) if name.startswith(PREFIX)]
    wanted = [name if name.startswith(PREFIX) else PREFIX + name for name in names] or known
    if rotate is not None:
        first = datetime.now(UTC).toordinal() * rotate % len(wanted)
        wanted = [wanted[(first + i) % len(wanted)] for i in range(min(rotate, len(wanted)))]
    found = []
    for name in wanted:
        path = recipe_path(name, root)
        if path is None:
            raise RecipeError(f"no recipe {name}", f"see {RECIPES}/{PREFIX}")
        recipe = load_recipe(path, root)
        if recipe.known_bad is None:
            raise RecipeError(f"{name} names no probes that must fail", "add [known_bad]")
        found.append(recipe)
    return tuple(found)


def prove(session: Session, recipe: Recipe, machine: str | None, workers: int) -> Row:
    """Runs every probe on one known-bad kernel."""
    plan = validate.prepare(session, [recipe.name], machine)
    with tempfile.TemporaryDirectory(prefix="mte-known-bad-") as directory:
        validate.run(
            plan,
            report=Path(directory),
            expression="test_probe",
            workers=workers,
            qemu_binary=None,
            quiet=True,
        )
        report = json_file.read(Path(directory) / REPORT)
    assert recipe.known_bad is not None
    return Row(
        recipe,
        frozenset(recipe.known_bad.probes),
        frozenset(recipe.known_bad.sometimes),
        frozenset(test.name for test in report.tests if not test.good),
        len(report.tests),
        report.seconds,
    )
