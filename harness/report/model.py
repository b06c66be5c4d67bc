# SPDX-License-Identifier: MIT
"""What one pytest run found: the one model that every report is made from.

All times are in seconds, all strings are for people. ``to_json()`` and the ``*_from_json()``
functions are each other's inverse; SCHEMA changes when a field goes or changes its meaning, not
when one is added with a default.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import cattrs
from cattrs.gen import make_dict_unstructure_fn

from harness.core.errors import ArtifactError
from harness.core.structure import strict_converter
from harness.verdict.result import ProbeResult, Status  # noqa: TC001 - cattrs reads them
from harness.verdict.splat import Splat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = 2
# What of a long output or console a report keeps: its end.
LINES_KEPT = 60
CHARACTERS_KEPT = 64 * 1024
NO_KERNEL = "no kernel"
T = TypeVar("T")


@dataclass(frozen=True)
class TestRecord:
    """One test on one kernel and machine.

    ``id`` is pytest's node id, ``name`` the probe's or the test function's. ``kernel`` and
    ``machine`` are the names of the kernels and machines that it used, joined by ``", "``;
    ``kernel`` is NO_KERNEL where none came up and none was asked for. ``target`` is the
    ``--kernel`` that it ran on, ``""`` for a test that chooses its kernels itself. ``repeat`` is
    the command that runs this test again. ``base_gone`` is what a test that was skipped lacks: a
    package or Debian's kernel that every place says is gone; ``kernel`` is what needs it.
    """

    __test__ = False  # pytest would take the class for a test by its name

    id: str
    name: str
    area: str
    kernel: str
    machine: str
    seconds: float
    result: ProbeResult
    about: str = ""
    repeat: str = ""
    target: str = ""
    base_gone: str = ""

    @property
    def column(self) -> str:
        """Return what its result is counted under: a kernel on two machines has two columns."""
        return self.target or self.kernel

    @property
    def status(self) -> Status:
        """Return the verdict in one word."""
        return self.result.status

    @property
    def good(self) -> bool:
        """Return whether nothing speaks against the kernel."""
        return self.status.good


@dataclass(frozen=True)
class KernelRecord:
    """A kernel under test, on one machine; ``machine`` is ``""`` where no guest of it came up.

    ``key`` is the content key of its build, ``recipe`` one line on where it is from;
    ``boot_seconds`` is the boot of its template, maybe in an earlier run. ``unaudited``: why its
    guests were not audited after each program; ``""`` if they were. ``board``: what is known of the
    machine that it runs on, label to text, where that is no guest.
    """

    name: str
    key: str
    release: str
    recipe: str = ""
    boot_seconds: float | None = None
    unaudited: str = ""
    machine: str = ""
    board: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What travels on pytest's report of a test: its record, and the kernels that it used."""

    record: TestRecord
    kernels: tuple[KernelRecord, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One figure, without reuse of tag storage and with it; each value as a person reads it."""

    what: str
    reach: str
    stock: str
    reuse: str
    result: str


class HoleKind(enum.StrEnum):
    """Why something of a plan has no result that counts."""

    MISSING = "missing"  # no report of a shard
    TROUBLE = "trouble"  # the host's, that ended a shard
    NO_RESULT = "no result"  # a test of the plan that no shard reports
    TWICE = "twice"  # a test, or a shard
    FOREIGN = "foreign"  # of another plan, another mte-harness, or no test of the plan
    KERNELS = "kernels"  # shards had different builds of one kernel


@dataclass(frozen=True)
class Hole:
    """Something of a plan that has no result, or none that counts: one line, and tests' ids.

    ``shard`` is its number in the plan, 0 where it is about no single shard.
    """

    kind: HoleKind
    text: str
    shard: int = 0
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardRecord:
    """Which part of which plan a report is, and where it was made.

    ``plan`` is the key of the plan's content, ``number`` counts from 1 to ``of``. ``harness`` is
    the key of the content of the mte-harness that ran it, ``commit`` what a person calls that.
    ``node`` is the host's name, ``status`` the exit status of the shard.
    """

    plan: str
    number: int
    of: int
    harness: str
    commit: str
    node: str
    status: int


@dataclass(frozen=True)
class Report:
    """A whole run. ``started`` is UTC, ISO 8601; ``host`` and ``machine`` are label to text.

    ``errors`` are what kept the run itself from going on (no kernel, no QEMU): a run
    that has one is not good, whatever its tests found. ``left_out``: how many tests were collected
    and not run, because ``-k`` or the like left them out. ``figures``: what reuse of tag storage
    gives and costs, where that was measured. ``shards``: the one shard that the report is of, or
    those that it was merged from; none where one host ran everything. ``holes`` are what a merged
    report lacks: a run with a hole is not good.
    """

    started: str
    seconds: float
    command: str
    host: dict[str, str]
    qemu: str
    machine: dict[str, str]
    kernels: tuple[KernelRecord, ...]
    tests: tuple[TestRecord, ...]
    errors: tuple[str, ...] = ()
    left_out: int = 0
    figures: tuple[Figure, ...] = ()
    shards: tuple[ShardRecord, ...] = ()
    holes: tuple[Hole, ...] = ()
    schema: int = SCHEMA

    @property
    def good(self) -> bool:
        """Return whether something was tried, and nothing speaks against any kernel."""
        tried = any(not test.base_gone for test in self.tests)
        whole = not self.errors and not self.holes
        return tried and whole and all(test.good for test in self.tests)

    @property
    def failures(self) -> tuple[TestRecord, ...]:
        """Return the tests that are not good, the worst status first."""
        bad = [test for test in self.tests if not test.good]
        return tuple(sorted(bad, key=lambda test: test.status.rank))

    def count(self, *statuses: Status) -> int:
        """Return how many tests have one of the statuses."""
        counts = Counter(test.status for test in self.tests)
        return sum(counts[status] for status in statuses)


def tests_not_run(tests: Iterable[TestRecord]) -> str:
    """Return one line on the tests whose kernel's base is gone; "" if there are none."""
    kernels: dict[str, dict[str, None]] = {}
    count = 0
    for test in tests:
        if test.base_gone:
            count += 1
            kernels.setdefault(test.base_gone, {})[test.kernel] = None
    if not count:
        return ""
    bases = ", ".join(f"{base} ({', '.join(names)})" for base, names in kernels.items())
    return f"{count} test{'s' if count > 1 else ''} not run: base gone: {bases}"


def shortened(result: ProbeResult) -> ProbeResult:
    """Return ``result`` with the last LINES_KEPT lines of its output and console."""
    return dataclasses.replace(
        result,
        stdout=_end(result.stdout),
        stderr=_end(result.stderr),
        console=_end(result.console),
    )


def _end(text: str) -> str:
    lines = text.split("\n")  # splitlines() would also cut at U+2028 and form feeds, and lose them
    kept = LINES_KEPT + text.endswith("\n")
    return "\n".join(lines[-kept:])[-CHARACTERS_KEPT:]


def _converter() -> cattrs.Converter:
    converter = strict_converter()
    plain = make_dict_unstructure_fn(Splat, converter)
    # The fingerprint is derived from the frames; a program that reads the JSON needs it too.
    converter.register_unstructure_hook(
        Splat, lambda splat: {**plain(splat), "fingerprint": splat.fingerprint}
    )
    structure = cattrs.gen.make_dict_structure_fn(Splat, converter, _cattrs_forbid_extra_keys=True)
    converter.register_structure_hook(
        Splat,
        lambda data, cls: structure({k: v for k, v in data.items() if k != "fingerprint"}, cls),
    )
    return converter


_CONVERTER = _converter()


def to_json(value: Report | Entry) -> dict[str, Any]:
    """Return plain dictionaries, lists, numbers and strings."""
    data: dict[str, Any] = _CONVERTER.unstructure(value)
    return data


def report_from_json(data: Mapping[str, Any]) -> Report:
    """Return the report. Raise ArtifactError for another schema or a damaged record."""
    if data.get("schema") != SCHEMA:
        raise ArtifactError(
            f"the report has schema {data.get('schema')!r}, this version reads {SCHEMA}",
            "make the report again",
        )
    return _load(Report, data)


def entry_from_json(data: Mapping[str, Any]) -> Entry:
    """Return the entry that a worker put on pytest's report."""
    return _load(Entry, data)


def _load(cls: type[T], data: Mapping[str, Any]) -> T:
    try:
        return _CONVERTER.structure(data, cls)
    except (cattrs.BaseValidationError, ValueError, TypeError, KeyError) as error:
        causes = cattrs.transform_error(error) if isinstance(error, Exception) else []
        raise ArtifactError(
            f"not a {cls.__name__} record: {causes[0] if causes else error}",
            "make the report again",
        ) from error
