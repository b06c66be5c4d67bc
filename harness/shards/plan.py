# SPDX-License-Identifier: MIT
"""A plan: which shard runs which tests on which kernels. One JSON file, the same for all hosts."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cattrs import BaseValidationError, transform_error

from harness.core.errors import UsageError
from harness.core.files import replace_file
from harness.core.git_output import run_git
from harness.core.keys import file_digest, key_of
from harness.core.paths import is_checkout, resources
from harness.core.structure import strict_converter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

SCHEMA = 1
_AGAIN = "make the plan again: mte-harness plan"
_CONVERTER = strict_converter()


@dataclass(frozen=True)
class PlannedTest:
    """A test by its id in reports, the ``KERNEL[@MACHINE]`` that it runs on, and its forecast.

    The forecast is in seconds.
    """

    id: str
    kernel: str
    seconds: float


@dataclass(frozen=True)
class Plan:
    """All tests of a run, cut into shards, each in the order in which it runs them.

    ``kernels`` are all arguments ``KERNEL[@MACHINE]``. ``harness`` is the key of the mte-harness
    that listed the tests, ``commit`` what a person calls it. ``left_out``: how many tests ``-k``
    left out of the plan.
    """

    harness: str
    commit: str
    kernels: tuple[str, ...]
    shards: tuple[tuple[PlannedTest, ...], ...]
    left_out: int = 0
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Refuse tests on a kernel that the plan does not have. Raise ValueError."""
        named = {test.kernel for shard in self.shards for test in shard}
        if unknown := sorted(named - {*self.kernels}):
            raise ValueError(f"tests run on {unknown[0]}, which is none of its kernels")

    @functools.cached_property
    def key(self) -> str:
        """The key of the plan's content, which its shards' reports carry."""
        return key_of(_CONVERTER.unstructure(self))

    def shard(self, number: int) -> tuple[PlannedTest, ...]:
        """Return the tests of shard ``number``, which counts from 1. Raise UsageError."""
        if not 1 <= number <= len(self.shards):
            raise UsageError(f"the plan has shards 1 to {len(self.shards)}, and no {number}")
        return self.shards[number - 1]


def kernels_of(tests: Iterable[PlannedTest]) -> tuple[str, ...]:
    """Return the kernels of some tests, each once, in order."""
    return tuple(dict.fromkeys(test.kernel for test in tests))


def write_plan(plan: Plan, path: Path) -> None:
    """Write the file. Raise UsageError where that cannot be."""
    text = json.dumps(_CONVERTER.unstructure(plan), indent=1, ensure_ascii=False) + "\n"
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise UsageError(f"the plan cannot be written to {path}: {error.strerror}") from error


def read_plan(path: Path) -> Plan:
    """Return the plan in a file. Raise UsageError where it is none."""
    try:
        data: Any = json.loads(path.read_text("utf-8"))
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"not a plan of schema {SCHEMA}")
        return _CONVERTER.structure(data, Plan)
    except BaseValidationError as error:
        raise UsageError(f"{path} is no plan: {transform_error(error)[0]}", _AGAIN) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", _AGAIN) from error
    except ValueError as error:
        raise UsageError(f"{path} is no plan: {error}", _AGAIN) from error


@functools.cache
def harness_key() -> str:
    """Return the key of what decides a verdict: the harness, the guest's side, and the suite.

    Hosts may have it from git, with edits, or as an installed package: the content counts.
    """
    package = Path(__file__).resolve().parents[1]
    trees = {
        "harness": package,
        "guest": resources() / "guest",
        "tests/validation": resources() / "tests" / "validation",
    }
    return key_of(
        {
            f"{name}/{path.relative_to(tree)}": file_digest(path)
            for name, tree in trees.items()
            for path in sorted(tree.rglob("*"))
            if path.is_file() and not {"_data", "__pycache__"} & {*path.relative_to(tree).parts}
        }
    )


def require_own(plan: Plan, path: Path) -> None:
    """Raise UsageError for a plan, read from ``path``, that another mte-harness made."""
    if plan.harness != harness_key():
        raise UsageError(
            f"{path} was made by another mte-harness: {plan.commit}, and this is {harness_name()}",
            "use the same commit on all hosts",
        )


def harness_name() -> str:
    """Return what a person calls this mte-harness: its commit, or the package's version."""
    if is_checkout():
        done = run_git(resources(), "describe", "--always", "--dirty=+edits")
        if done.returncode == 0:
            return done.stdout.strip()
    return importlib.metadata.version("mte-harness")
