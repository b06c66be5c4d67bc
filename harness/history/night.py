# SPDX-License-Identifier: MIT
"""The record of one run of a night: a JSON file, the truth from which all else is made.

A *night* is what one `mte-harness nightly` planned; a *run* is one entry of it: a suite on a kernel
and a machine. SCHEMA changes when a field goes or changes its meaning, not when one is added
with a default.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from cattrs import BaseValidationError, transform_error

from harness.core.errors import ArtifactError
from harness.core.files import replace_file
from harness.core.structure import strict_converter

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 1
RECORDS = "records"  # below the directory of a night, in the results
PLAN = "night.json"
COMES_UP = "the kernel comes up"  # the test that stands for build and boot
_SURROGATE = re.compile("[\ud800-\udfff]")  # as Python has a byte that is not UTF-8
_CONVERTER = strict_converter()
_T = TypeVar("_T", "Run", "Night")


class State(enum.StrEnum):
    """What one test or case was in one run; the order is that of the database's numbers.

    KNOWN: it failed as a known bug does. EXPIRED: a known bug that had to show, and did not. ERROR
    and UNTESTED are no verdict, and SKIP is none on purpose.
    """

    PASS = "pass"
    SKIP = "skip"
    ERROR = "error"
    UNTESTED = "untested"
    FAIL = "fail"
    SPLAT = "splat"
    LOST = "lost"
    KNOWN = "known"
    EXPIRED = "expired"

    @property
    def bad(self) -> bool:
        """Whether it speaks against the kernel."""
        return self in {State.FAIL, State.SPLAT, State.LOST}

    @property
    def crash(self) -> bool:
        """Whether the kernel printed a splat, or the guest was lost: never called unstable."""
        return self in {State.SPLAT, State.LOST}

    @property
    def conclusive(self) -> bool:
        """Whether it says something about the kernel."""
        return self not in {State.SKIP, State.ERROR, State.UNTESTED}


@dataclass(frozen=True)
class Context:
    """What, beside the kernel, can make a result another one. Each is one line for a person.

    ``harness`` is a commit, with a digest of what was not committed.
    """

    harness: str
    qemu: str
    compiler: str
    host: str


@dataclass(frozen=True)
class KernelRun:
    """A kernel that was used; ``key`` is the content key of its build."""

    name: str
    machine: str
    key: str
    release: str
    about: str = ""
    boot_seconds: float | None = None


@dataclass(frozen=True)
class TestRun:
    """One test; ``cases`` maps a state to the names of its cases that have it.

    ``bug`` is the page of the known bug that it is about, ``""`` for other tests.
    """

    __test__ = False  # pytest would take the class for a test by its name

    test: str
    kernel: str
    machine: str
    state: State
    seconds: float
    cases: dict[State, tuple[str, ...]] = field(default_factory=dict)
    reason: str = ""
    fingerprint: str = ""
    bug: str = ""
    about: str = ""
    repeat: str = ""


@dataclass(frozen=True)
class Measure:
    """A number that has a trend; ``unit`` is s, kB, pages or another of trends.NOISE."""

    name: str
    kernel: str
    machine: str
    unit: str
    value: float


@dataclass(frozen=True)
class Run:
    """One entry of a night, as it ended. Times are UTC, ISO 8601; ``night`` is the night's name.

    ``selection`` says what of the suite was run, ``""`` for all of it. ``errors`` are what cut the
    run short: with one, a test that is not there is no test that has gone. ``not_run`` maps
    tests to why they could not be tried. ``report``: the HTML report, relative to the results.
    ``gone``: tests that the suite lately had, and does not have any more.
    """

    night: str
    entry: str
    suite: str
    kernel: str
    machine: str
    started: str
    seconds: float
    prepare_seconds: float
    exit_status: int
    context: Context
    kernels: tuple[KernelRun, ...] = ()
    tests: tuple[TestRun, ...] = ()
    measures: tuple[Measure, ...] = ()
    selection: str = ""
    errors: tuple[str, ...] = ()
    not_run: dict[str, str] = field(default_factory=dict)
    command: str = ""
    report: str = ""
    gone: tuple[str, ...] = ()
    schema: int = SCHEMA

    @property
    def whole(self) -> bool:
        """Whether everything that was selected was tried."""
        return not self.errors


@dataclass(frozen=True)
class Planned:
    """An entry of the matrix on one night. ``left_out``: why it was not to be run, or ``""``.

    ``expected`` seconds come from ``runs`` earlier runs; 0: from the matrix, an estimate.
    ``picked`` are the tests of a suite in rotation, of ``known`` in all; ``gone`` are those that
    it lately had, and does not have any more. ``trouble``: why its tests could not be listed, or
    ``""``; such an entry has no result.
    """

    entry: str
    suite: str
    kernel: str
    machine: str
    qemu: str
    select: str
    value: int
    expected: float
    runs: int
    picked: tuple[str, ...] = ()
    known: int = 0
    gone: tuple[str, ...] = ()
    left_out: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Night:
    """What a night was to do, and whether it came to its end."""

    name: str
    started: str
    matrix: str
    budget: float
    entries: tuple[Planned, ...]
    finished: str = ""
    schema: int = SCHEMA

    @property
    def began(self) -> datetime:
        """When it was started."""
        return datetime.fromisoformat(self.started).astimezone(UTC)


def save(value: Run | Night, path: Path) -> None:
    """Write a record; a reader sees a whole file or none.

    Bytes of a path that are not UTF-8 are spelled out: a database and a mail take none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_CONVERTER.unstructure(value), indent=0, ensure_ascii=False) + "\n"
    replace_file(path, _SURROGATE.sub(lambda one: f"\\\\u{ord(one[0]):04x}", text).encode())


def load_run(path: Path) -> Run:
    """Return the run in a file. Raise ArtifactError, which names the file."""
    return _load(path, Run)


def load_night(path: Path) -> Night:
    """Return the night in a file. Raise ArtifactError, which names the file."""
    return _load(path, Night)


def _load(path: Path, kind: type[_T]) -> _T:
    try:
        data = json.loads(path.read_bytes())
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"its schema is {schema!r}, this version reads {SCHEMA}")
        found = _CONVERTER.structure(data, kind)
        datetime.fromisoformat(found.started)
    except BaseValidationError as error:
        cause = f"{path}: {transform_error(error)[0]}"
    except (OSError, ValueError, TypeError, KeyError) as error:
        cause = f"{path}: {error}"
    else:
        return found
    raise ArtifactError(cause, "restore the record, or remove it")


def run_files(results: Path) -> list[Path]:
    """Return the records of all runs, the oldest night first."""
    return sorted(results.glob(f"nights/*/{RECORDS}/*.json"))


def night_files(results: Path) -> list[Path]:
    """Return the plans of all nights, the oldest first."""
    return sorted(results.glob(f"nights/*/{PLAN}"))
