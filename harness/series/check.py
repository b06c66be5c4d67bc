# SPDX-License-Identifier: MIT
"""scripts/check-series: is each patch of a series fit to be posted, on its own?

Of each patch: checkpatch.pl --strict; the kernel up to it builds without a warning that the
kernel below the series has not, boots, and passes a part of the suite. The kernel with all of
them passes the whole suite. And dt_binding_check of the bindings that the series adds.
Kernels are kept in the cache: what was proved once costs seconds the next time.
"""

from __future__ import annotations

import functools
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import errors, validate
from harness.entry import leave_with
from harness.errors import BootError, BuildError, ConfigError, UsageError
from harness.kernel.patches import Patch, apply_patches, read_patches
from harness.kernel.recipe import DirectoryBase, Recipe, load_recipe, recipe_path
from harness.kernel.resolver import DEFAULT_RECIPE, build_place, link_tree
from harness.kernel.source import find_origin, pristine
from harness.paths import cache_root, repository_root
from harness.probe.source import discover
from harness.progress import Progress, plain_progress
from harness.series.binding import BINDINGS, check_bindings
from harness.series.prefix import series_files, warnings, write_prefix
from harness.series.style import EXCEPTIONS, check_style, read_exceptions
from harness.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 2
_ADDED_BINDING = re.compile(rf"^\+\+\+ b/({BINDINGS}\S+\.yaml)$", re.MULTILINE)


def check_form(recipe: Recipe, cache: Path, progress: Progress) -> list[str]:
    """Return what is wrong with the form of the patches; needs no compiler."""
    if isinstance(recipe.base, DirectoryBase):
        raise UsageError(f"{recipe.name} is built from a directory", "name a recipe with patches")
    tree = pristine(find_origin(recipe.base, cache, progress), cache, progress)
    exceptions = read_exceptions(recipe.path.parent / EXCEPTIONS)
    files = series_files(recipe)
    said = []
    progress.step("checkpatch.pl --strict")
    for number, file in enumerate(files):
        progress.count(number, len(files))
        said += [f"{file.name}: {line}" for line in check_style(file, tree, exceptions)]
    return said + [f"{EXCEPTIONS}: nothing needs {item}" for item in exceptions.unused]


def check_binding(recipe: Recipe, cache: Path, progress: Progress) -> list[str]:
    """Return what dt_binding_check says of the bindings that the patches add."""
    assert not isinstance(recipe.base, DirectoryBase)
    assert recipe.own_patches
    patches = read_patches(recipe.patches)
    names = [name for patch in patches for name in _bindings(patch)]
    if not names:
        return []
    base = pristine(find_origin(recipe.base, cache, progress), cache, progress)
    with build_place(cache, progress) as place:
        tree = place / "src"
        link_tree(base, tree)
        apply_patches(patches, tree, progress)
        return check_bindings(names, tree, progress)


def _bindings(patch: Patch) -> list[str]:
    return _ADDED_BINDING.findall(patch.text.decode(errors="replace"))


class Prefixes:
    """The kernels up to each patch: built, booted, and put to the test."""

    def __init__(self, recipe: Recipe, parent: Recipe, session: Session, scratch: Path) -> None:
        self._recipe = recipe
        self._parent = parent
        self._session = session
        self._scratch = scratch
        self._known: set[str] | None = None
        self._total = len(series_files(recipe))

    def check(self, number: int) -> list[str]:
        """Return what is wrong with the kernel of the first ``number`` patches."""
        if self._known is None:
            self._known = warnings(self._session.kernel(self._parent.name))
        place = write_prefix(self._recipe, self._parent, number, self._scratch)
        try:
            said = sorted(warnings(self._session.kernel(str(place))) - self._known)
            plan = validate.prepare(self._session, [str(place)], None)
        except (BuildError, ConfigError, BootError) as error:
            return [str(error), *error.details.splitlines()[-10:]]
        status = validate.run(
            plan,
            report=self._scratch / f"report-{number}",
            expression=None if number == self._total else smoke_expression(),
            workers=WORKERS,
            qemu_binary=None,
        )
        return said + ([f"the suite ended with status {status}"] if status else [])


def smoke_expression() -> str:
    """Return the pytest -k expression that selects the smoke probes."""
    probes = discover(repository_root() / "guest" / "probes")
    return " or ".join(probe.name for probe in probes if probe.smoke)


@click.command()
@click.argument("name", metavar="RECIPE", default="tag-storage")
@click.option("--form", "form_only", is_flag=True, help="Only what needs no compiler.")
@click.option("--patch", "patches", type=int, multiple=True, help="Only the Nth patch; repeatable.")
def command(name: str, patches: tuple[int, ...], *, form_only: bool) -> int:
    """Check that each patch of RECIPE can be posted. Exit status 1 if one cannot."""
    root, cache, progress = repository_root(), cache_root(), plain_progress()
    path, parent_path = recipe_path(name, root), recipe_path(DEFAULT_RECIPE, root)
    if path is None or parent_path is None:
        raise UsageError(f"there is no recipe {name!r}")
    recipe, parent = load_recipe(path, root), load_recipe(parent_path, root)
    names = [file.name for file in series_files(recipe)]
    if wrong := [number for number in patches if not 0 < number <= len(names)]:
        raise UsageError(f"there is no patch {wrong[0]}: the series has {len(names)}")
    table = _Table()
    table.row("form of all patches", lambda: check_form(recipe, cache, progress))
    if not form_only:
        if not patches:
            table.row("device tree bindings", lambda: check_binding(recipe, cache, progress))
        with tempfile.TemporaryDirectory(prefix="mte-harness-series-") as scratch:
            prefixes = Prefixes(recipe, parent, Session(cache, progress), Path(scratch))
            for number in patches or range(1, len(names) + 1):
                table.row(names[number - 1], functools.partial(prefixes.check, number))
    return table.show()


class _Table:
    """What was checked, said at once and again at the end."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, int, float]] = []

    def row(self, what: str, check: Callable[[], list[str]]) -> None:
        """Run a check and print what it finds."""
        start = time.monotonic()
        said = check()
        self._rows.append((what, len(said), time.monotonic() - start))
        for line in said:
            print(f"{what}: {line}", flush=True)

    def show(self) -> int:
        """Print the table; return the exit status."""
        for what, wrong, seconds in self._rows:
            print(f"{'FAILS' if wrong else 'good':6}{seconds:6.0f} s  {what}")
        return errors.PROGRAM_FAILED if any(wrong for _, wrong, _ in self._rows) else errors.OK


if __name__ == "__main__":
    leave_with(lambda: command.main(standalone_mode=False))
