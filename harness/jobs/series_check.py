# SPDX-License-Identifier: MIT
"""Check that each patch of a series can be posted on its own.

For each patch: checkpatch.pl --strict; the kernel of the patches up to it builds with no warning
that the kernel below the series does not have, boots, and passes the smoke probes. The kernel
of all patches passes the whole suite. The bindings that the series adds pass dt_binding_check.
The cache keeps the kernels, so a second check of the same patches builds none.
"""

from __future__ import annotations

import functools
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core import errors
from harness.core.errors import BootError, BuildError, ConfigError, UsageError
from harness.core.paths import resources
from harness.jobs.run_suite import prepare, run_suite
from harness.kernel import locate_kernel
from harness.kernel.base import find_origin, pristine
from harness.kernel.locate import DEFAULT_RECIPE
from harness.kernel.patches import Patch, apply_patches, read_patches
from harness.kernel.recipe import DirectoryBase, Recipe, load_recipe, recipe_path
from harness.kernel.workspace import build_place, link_tree
from harness.series.binding import BINDINGS, check_bindings
from harness.series.prefix import series_files, warnings, write_prefix
from harness.series.style import EXCEPTIONS, check_style, read_exceptions
from harness.suite.head_comment import SMOKE
from harness.suite.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.core.progress import Progress

WORKERS = 2
_ADDED_BINDING = re.compile(rf"^\+\+\+ b/({BINDINGS}\S+\.yaml)$", re.MULTILINE)


def check_series(
    recipe: Recipe, numbers: Sequence[int], cache: Path, progress: Progress, *, form_only: bool
) -> int:
    """Check the patches of these ``numbers``, from 1, or all; print a table; return the status.

    ``form_only`` leaves out the bindings and the kernels.
    """
    names = [file.name for file in series_files(recipe)]
    if unknown := [number for number in numbers if not 0 < number <= len(names)]:
        raise UsageError(f"there is no patch {unknown[0]}: the series has {len(names)}")
    table = _Table()
    table.check("form of all patches", lambda: check_form(recipe, cache, progress))
    if not form_only:
        if not numbers:
            table.check("device tree bindings", lambda: check_binding(recipe, cache, progress))
        with tempfile.TemporaryDirectory(prefix="mte-harness-series-") as scratch:
            prefixes = Prefixes(recipe, Session(cache, progress), Path(scratch))
            for number in numbers or range(1, len(names) + 1):
                table.check(names[number - 1], functools.partial(prefixes.check, number))
    return table.show()


def check_form(recipe: Recipe, cache: Path, progress: Progress) -> list[str]:
    """Return the faults in the form of the patches. No compiler is needed."""
    if isinstance(recipe.base, DirectoryBase):
        raise UsageError(f"{recipe.name} is built from a directory", "name a recipe with patches")
    tree = pristine(find_origin(recipe.base, cache, progress), cache, progress)
    exceptions = read_exceptions(recipe.path.parent / EXCEPTIONS)
    files = series_files(recipe)
    faults = []
    progress.step("checkpatch.pl --strict")
    for number, file in enumerate(files):
        progress.count(number, len(files))
        faults += [f"{file.name}: {line}" for line in check_style(file, tree, exceptions)]
    return faults + [f"{EXCEPTIONS}: nothing needs {item}" for item in exceptions.unused]


def check_binding(recipe: Recipe, cache: Path, progress: Progress) -> list[str]:
    """Return the errors of dt_binding_check in the bindings that the patches add."""
    assert not isinstance(recipe.base, DirectoryBase)
    assert recipe.own_patches
    patches = read_patches(recipe.patches, progress)
    names = [name for patch in patches for name in _bindings(patch)]
    if not names:
        return []
    origin = find_origin(recipe.base, cache, progress)
    base = pristine(origin, cache, progress)
    with build_place(cache, progress) as place, origin.named_in_errors():
        tree = place / "src"
        link_tree(base, tree)
        apply_patches(patches, tree, progress)
        return check_bindings(names, tree, progress)


def _bindings(patch: Patch) -> list[str]:
    return _ADDED_BINDING.findall(patch.text.decode(errors="replace"))


class Prefixes:
    """The kernels of the first N patches of a recipe: built, booted and tested."""

    def __init__(self, recipe: Recipe, session: Session, scratch: Path) -> None:
        self._recipe = recipe
        parent = recipe_path(DEFAULT_RECIPE, resources())
        assert parent
        self._parent = load_recipe(parent, resources())
        self._session = session
        self._scratch = scratch
        self._total = len(series_files(recipe))

    @functools.cached_property
    def _known(self) -> set[str]:
        """The warnings of the kernel below the series."""
        return warnings(self._session.kernel(locate_kernel(self._parent.name, resources())))

    def check(self, number: int) -> list[str]:
        """Return the faults of the kernel of the first ``number`` patches."""
        known = self._known
        place = write_prefix(self._recipe, self._parent, number, self._scratch)
        try:
            new = sorted(
                warnings(self._session.kernel(locate_kernel(str(place), resources()))) - known
            )
            prepare(self._session, [str(place)], None)
        except (BuildError, ConfigError, BootError) as error:
            return [str(error), *error.details.splitlines()[-10:]]
        status = run_suite(
            [str(place)],
            None,
            report=self._scratch / f"report-{number}",
            expression=None if number == self._total else SMOKE,
            workers=WORKERS,
            qemu_binary=None,
        )
        return new + ([f"the suite ended with status {status}"] if status else [])


class _Table:
    """The checks and how many faults each found; a fault is printed when it is found."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, int, float]] = []

    def check(self, subject: str, check: Callable[[], list[str]]) -> None:
        """Run a check and print the faults that it returns."""
        start = time.monotonic()
        faults = check()
        self._rows.append((subject, len(faults), time.monotonic() - start))
        for fault in faults:
            click.echo(f"{subject}: {fault}")

    def show(self) -> int:
        """Print the table; return the exit status."""
        for subject, faults, seconds in self._rows:
            click.echo(f"{'FAILS' if faults else 'good':6}{seconds:6.0f} s  {subject}")
        failed = any(faults for _, faults, _ in self._rows)
        return errors.PROGRAM_FAILED if failed else errors.OK
