# SPDX-License-Identifier: MIT
"""``mte-harness known-bad``: each known-bad kernel must fail the probes that its recipe names.

It may fail no others. Some kernels expose what a page's former owner left in it; which probes
get such a page is chance, so the recipe lists those apart, as probes that fail sometimes.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core import errors
from harness.core.errors import BaseGoneError, HarnessError, RecipeError
from harness.core.paths import cache_root, resources
from harness.jobs.options import machine_option, shown_progress, workers_option
from harness.jobs.run_suite import prepare, run_suite
from harness.kernel.recipe import RECIPES, Recipe, load_recipe, recipe_names, recipe_path
from harness.report import json_file
from harness.suite.report_files import REPORT
from harness.suite.session import Session
from harness.verdict.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.model import Report

PREFIX = "known-bad/"
RELEASES = ("6.12",)  # directories of each recipe below PREFIX
# A probe that could not run has noticed nothing: the host may be at fault.
FAILED = {Status.FAIL, Status.SPLAT, Status.LOST}


@click.command("known-bad")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@machine_option
@click.option(
    "--release",
    type=click.Choice(RELEASES),
    help="The same bugs in that release, in place of the newest.",
)
@click.option("--rotate", type=click.IntRange(1), help="Only that many kernels, others each day.")
@workers_option
def known_bad_command(
    names: tuple[str, ...],
    machine: str | None,
    release: str | None,
    rotate: int | None,
    workers: int,
) -> int:
    """Prove that the suite can fail: each known-bad kernel fails exactly its named probes.

    A kernel whose base Debian has removed is not tried: named, and no failure.
    """
    rows = []
    gone: list[BaseGoneError] = []
    for recipe in recipes(names, release, rotate):
        try:
            with shown_progress() as progress:
                row = prove(Session(cache_root(), progress), recipe, machine, workers)
        except BaseGoneError as error:
            gone.append(error)
            click.echo(f"{'base gone':10}  {recipe.name}  ({error.base})")
            continue
        rows.append(row)
        word = "proved" if row.proved else "NOT PROVED"
        click.echo(
            f"{word:10}  {recipe.name}  ({len(row.failed)} of "
            f"{row.ran} probes failed, {row.seconds:.0f} s)  {row.difference}".rstrip()
        )
    if gone and not rows:
        raise gone[0]
    proved = sum(row.proved for row in rows)
    bases = ", ".join(sorted({error.base for error in gone}))
    not_tried = f"; {len(gone)} not tried: base gone: {bases}" if gone else ""
    click.echo(f"{proved} of {len(rows)} known-bad kernels proved{not_tried}")
    if proved == len(rows):
        return errors.OK
    return max((row.host_status for row in rows), default=errors.OK) or errors.PROGRAM_FAILED


@dataclass(frozen=True)
class Row:
    """The suite's run on one known-bad kernel.

    ``expected`` probes have to fail and ``sometimes`` may; ``failed`` did, of ``ran`` in all.
    ``trouble`` is what kept a probe from running on this host, ``host_status`` its exit status.
    """

    recipe: Recipe
    expected: frozenset[str]
    sometimes: frozenset[str]
    failed: frozenset[str]
    ran: int
    seconds: float
    trouble: str = ""
    host_status: int = errors.OK

    @property
    def proved(self) -> bool:
        """Whether all expected probes failed, and no probe that may not."""
        return (
            bool(self.ran and self.expected and not self.trouble)
            and self.expected <= self.failed <= self.expected | self.sometimes
        )

    @property
    def difference(self) -> str:
        """The differences from the recipe, for a person; empty if there is none."""
        if self.trouble:
            return f"could not be tried: {self.trouble}"
        found = [] if self.expected else ["the recipe names no probe yet"]
        if missed := self.expected - self.failed:
            found.append(f"should have failed: {', '.join(sorted(missed))}")
        if surplus := self.failed - self.expected - self.sometimes:
            found.append(f"failed as well: {', '.join(sorted(surplus))}")
        return "; ".join(found) or ("" if self.ran else "no probe ran")


def recipes(names: Sequence[str], release: str | None, rotate: int | None) -> tuple[Recipe, ...]:
    """Return the known-bad recipes of these names, or all of them if there are none.

    ``release`` is one of RELEASES, or None for the newest. ``rotate`` picks that many, others each
    day. Raises RecipeError.
    """
    root = resources()
    known = [name for name in recipe_names(root) if _is_known_bad(name)]
    wanted = [name if name.startswith(PREFIX) else PREFIX + name for name in names] or known
    if rotate is not None:
        first = datetime.now(UTC).toordinal() * rotate % len(wanted)
        wanted = [wanted[(first + i) % len(wanted)] for i in range(min(rotate, len(wanted)))]
    found = []
    for plain in wanted:
        name = f"{plain}/{release}" if release else plain
        path = recipe_path(name, root)
        if path is None:
            raise RecipeError(f"no recipe {name}", f"see {RECIPES}/{PREFIX}")
        recipe = load_recipe(path, root)
        if recipe.known_bad is None:
            raise RecipeError(f"{name} names no probes that must fail", "add [known_bad]")
        found.append(recipe)
    return tuple(found)


def _is_known_bad(name: str) -> bool:
    """Return whether a recipe is a known-bad kernel of the newest release."""
    return name.startswith(PREFIX) and not name.endswith(tuple(f"/{r}" for r in RELEASES))


def prove(session: Session, recipe: Recipe, machine_name: str | None, workers: int) -> Row:
    """Run every probe on one known-bad kernel."""
    prepare(session, [recipe.name], machine_name)
    with tempfile.TemporaryDirectory(prefix="mte-known-bad-") as directory:
        status = run_suite(
            [recipe.name],
            machine_name,
            report=Path(directory),
            expression="test_probe",
            workers=workers,
            qemu_binary=session.qemu_binary,
            quiet=True,
        )
        report = json_file.read(Path(directory) / REPORT)
    return row_of(recipe, report, status)


def row_of(recipe: Recipe, report: Report, status: int) -> Row:
    """Return what a run of the probes, which ended with ``status``, says of a known-bad kernel.

    In a run that was cut short a probe that is missing may be the one that fails wrongly.
    """
    assert recipe.known_bad is not None
    troubled = [
        (test.result.title, test.result.exit_status)
        for test in report.tests
        if errors.is_host_trouble(test.result.exit_status)
    ]
    if report.errors:
        cut_short = status if errors.is_host_trouble(status) else HarnessError.status
        troubled.insert(0, (report.errors[0], cut_short))
    trouble, host_status = troubled[0] if troubled else ("", errors.OK)
    # The table is that of all releases: a probe that is not for this one cannot fail on it.
    not_for_it = {test.name for test in report.tests if test.status is Status.SKIP}
    return Row(
        recipe,
        frozenset(recipe.known_bad.probes) - not_for_it,
        frozenset(recipe.known_bad.sometimes),
        frozenset(test.name for test in report.tests if test.status in FAILED),
        len(report.tests),
        report.seconds,
        trouble,
        host_status,
    )
