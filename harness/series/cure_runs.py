# SPDX-License-Identifier: MIT
"""The record of a cure: its selftest on the kernel without cures and on the one with them.

``runs.json`` beside the cure's kernel.toml. The cover letter quotes it, so that no output in a mail
was typed.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cattrs import BaseValidationError, transform_error

from harness.core.errors import RecipeError
from harness.core.files import replace_file
from harness.core.structure import strict_converter
from harness.kernel.locate import DEFAULT_RECIPE
from harness.series.prefix import series_files
from harness.suite.gather import gather
from harness.suite.program import file_program
from harness.suite.target import parse_target
from harness.verdict.judge import judge
from harness.verdict.result import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.guest.template import Template
    from harness.kernel.recipe import Recipe
    from harness.suite.session import Session

RUNS = "runs.json"
PLAIN = DEFAULT_RECIPE
CURED = "fixes"  # the recipe of all cures: one kernel for all records
SECONDS = 180.0  # a test of a call that does not return waits for each of several
# What says that a test ran, and that the kernel is at fault.
FAILED = (Status.FAIL, Status.SPLAT, Status.LOST)
_CONVERTER = strict_converter()
_TEST = re.compile(rb"^\+\+\+ b/tools/testing/selftests/arm64/mte/(check_\w+)\.c$", re.MULTILINE)
_DIFF = re.compile(rb"^diff --git ", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One run of the selftest: what it printed, and the first line of each splat.

    ``status`` is the verdict.
    """

    kernel: str
    release: str
    status: Status
    output: str
    splats: tuple[str, ...]


@dataclass(frozen=True)
class Runs:
    """The two runs, on the ``date`` (ISO), of the ``program`` that the patches ``digest`` add."""

    digest: str
    program: str
    date: str
    source: str
    before: Run
    after: Run


def digest_of(recipe: Recipe) -> str:
    """Return the SHA-256 of the changes of the patches, in hex. Their messages do not count."""
    total = hashlib.sha256()
    for file in series_files(recipe):
        text = file.read_bytes()
        start = _DIFF.search(text)
        total.update(text[start.start() :] if start else text)
    return total.hexdigest()


def selftest_of(recipe: Recipe) -> str:
    """Return the name of the kernel's selftest that the patches add or change."""
    for file in series_files(recipe):
        if found := _TEST.search(file.read_bytes()):
            return found[1].decode()
    raise RecipeError(f"{recipe.path}: no patch of it has a selftest", "add one")


def make_runs(recipe: Recipe, session: Session) -> Runs:
    """Run the selftest of a cure on the kernel without cures, and on the one with all of them."""
    name = selftest_of(recipe)
    plain, cured = (session.prepare(parse_target(kernel, None)) for kernel in (PLAIN, CURED))
    assert cured.kernel.selftests, "the tree has selftests: a patch of it adds one"
    program = cured.kernel.selftests / name
    before, after = (_run(session, template, program) for template in (plain, cured))
    source = plain.kernel.description.rpartition("source: ")[2]
    return Runs(digest_of(recipe), name, time.strftime("%Y-%m-%d"), source, before, after)


def write_runs(recipe: Recipe, runs: Runs) -> Path:
    """Write ``runs.json``; return its path."""
    path = recipe.path.parent / RUNS
    text = json.dumps(_CONVERTER.unstructure(runs), indent=1, ensure_ascii=False)
    replace_file(path, f"{text}\n".encode())
    return path


def _run(session: Session, template: Template, program: Path) -> Run:
    kernel = template.kernel
    ready = file_program(
        program, session.programs, page_size=kernel.page_size, seconds=SECONDS, speaks_ktap=True
    )
    with session.guest(template) as guest:
        result = judge(gather(guest, ready))
    titles = tuple(splat.lines[0] for splat in result.splats)
    return Run(kernel.name, kernel.release, result.status, result.stdout, titles)


def read_runs(recipe: Recipe) -> Runs:
    """Return the record of a cure. Raise RecipeError if there is none of these patches."""
    path = recipe.path.parent / RUNS
    cure = f"mte-harness fix record {recipe.path.parent.name}"
    if not path.is_file():
        raise RecipeError(f"there is no {path}", cure)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("it is no record")  # noqa: TRY004 - one error for all that is wrong
        found = _CONVERTER.structure(data, Runs)
    except BaseValidationError as error:
        raise RecipeError(f"{path} is damaged: {transform_error(error)[0]}", cure) from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} is damaged: {error}", cure) from error
    if found.digest != digest_of(recipe):
        raise RecipeError(f"{path} is of other patches than those of {recipe.name}", cure)
    return found
