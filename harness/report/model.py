# SPDX-License-Identifier: MIT
"""What one run of the suite found: the one model that every report is made from.

All times are in seconds, all strings are for people. ``to_json()`` and
``from_json()`` are each other's inverse; SCHEMA changes when a field goes or
changes its meaning, not when one is added with a default.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from harness.core.errors import ArtifactError
from harness.verdict.judge import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.verdict.splat import Splat

SCHEMA = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One KTAP result. ``outcome`` is a word of harness.core.ktap.Outcome."""

    number: int
    name: str
    outcome: str
    reason: str = ""
    diagnostics: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplatRecord:
    """A splat; ``lines`` are decoded to file and line where a vmlinux was there."""

    kind: str
    title: str
    fingerprint: str
    lines: tuple[str, ...]
    culprits: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReasonRecord:
    """One thing that speaks against a pass: a Status word, a line, and lines below it."""

    status: str
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """Counters (meminfo in kB, vmstat in pages) ``seconds`` after the test began."""

    seconds: float
    values: dict[str, int]


@dataclass(frozen=True)
class Item:
    """One test on one kernel and machine.

    ``id`` is pytest's node id, ``name`` the probe's; ``kernel`` is the name of one
    of the run's kernels; ``phases`` are in order (clone, push, run); ``console`` is
    the tail of it; ``repeat`` is the command that runs this test again.
    """

    id: str
    name: str
    area: str
    kernel: str
    machine: str
    status: str
    seconds: float
    phases: dict[str, float] = field(default_factory=dict)
    about: str = ""
    cases: tuple[Case, ...] = ()
    reasons: tuple[ReasonRecord, ...] = ()
    splats: tuple[SplatRecord, ...] = ()
    console: str = ""
    repeat: str = ""
    counters: tuple[Sample, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing speaks against the kernel."""
        return Status(self.status).good


@dataclass(frozen=True)
class KernelRecord:
    """A kernel under test. ``build_seconds`` is None where it was not built in this run.

    ``unaudited``: why its guests were not audited after each program; ``""`` if they were.
    """

    name: str
    key: str
    release: str
    recipe: str = ""
    build_seconds: float | None = None
    boot_seconds: float | None = None
    clone_seconds: tuple[float, ...] = ()
    unaudited: str = ""


@dataclass(frozen=True)
class Figure:
    """One figure, without reuse of tag storage and with it; each value as a person reads it."""

    what: str
    reach: str
    stock: str
    reuse: str
    result: str


@dataclass(frozen=True)
class Run:
    """A whole run. ``started`` is UTC, ISO 8601; ``host`` and ``machine`` are label to text.

    ``errors`` are what kept the run itself from going on (no kernel, no QEMU): a run
    that has one is not good, whatever its items say. ``figures``: what reuse of tag storage
    gives and costs, where that was measured.
    """

    started: str
    seconds: float
    command: str
    host: dict[str, str]
    qemu: str
    machine: dict[str, str]
    kernels: tuple[KernelRecord, ...]
    items: tuple[Item, ...]
    errors: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    schema: int = SCHEMA

    @property
    def good(self) -> bool:
        """Whether something was tried, and nothing speaks against any kernel."""
        return bool(self.items) and not self.errors and all(item.good for item in self.items)

    @property
    def failures(self) -> tuple[Item, ...]:
        """The items that are not good, the worst status first."""
        order = list(Status)
        bad = [item for item in self.items if not item.good]
        return tuple(sorted(bad, key=lambda item: order.index(Status(item.status))))

    def count(self, *statuses: Status) -> int:
        """How many items have one of the statuses."""
        return sum(item.status in statuses for item in self.items)


def findings(verdict: Verdict, decoded: tuple[Splat, ...] | None = None) -> dict[str, Any]:
    """The fields of an Item that follow from a verdict: ``Item(id=…, **findings(verdict))``.

    ``decoded`` are the verdict's splats after Symbolizer.annotate().
    """
    document = verdict.evidence.document
    splats = decoded if decoded is not None else verdict.evidence.splats
    return {
        "status": verdict.status.value,
        "cases": tuple(
            Case(r.number, r.name, r.outcome.value, r.reason, r.diagnostics)
            for r in (document.results if document else ())
        ),
        "reasons": tuple(
            # A splat's lines are told with the splat.
            ReasonRecord(r.status.value, r.text, () if r.status is Status.SPLAT else r.details)
            for r in verdict.reasons
        ),
        "splats": tuple(
            SplatRecord(s.kind.value, s.title, s.fingerprint, s.lines, tuple(map(str, s.culprits)))
            for s in splats
        ),
    }


def to_json(value: Run | Item) -> dict[str, Any]:
    """Plain dictionaries, lists, numbers and strings."""
    return dataclasses.asdict(value)


def run_from_json(data: Mapping[str, Any]) -> Run:
    """The inverse of to_json(). ArtifactError for another schema or a damaged record."""
    if data.get("schema") != SCHEMA:
        raise ArtifactError(
            f"the report has schema {data.get('schema')!r}, this version reads {SCHEMA}",
            "make the report again",
        )
    return _load(Run, data)


def item_from_json(data: Mapping[str, Any]) -> Item:
    """The inverse of to_json() for one item."""
    return _load(Item, data)


def _load(cls: type[T], data: Mapping[str, Any]) -> T:
    hints = typing.get_type_hints(cls)
    try:
        return cls(**{key: _value(hints[key], value) for key, value in data.items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"not a {cls.__name__} record: {error}", "make the report again"
        ) from error


def _value(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return tuple(_value(arguments[0], entry) for entry in value)
    if origin is dict:
        return {key: _value(arguments[1], entry) for key, entry in value.items()}
    if origin is types.UnionType:
        return None if value is None else _value(arguments[0], value)
    if dataclasses.is_dataclass(hint):
        return _load(typing.cast("type[Any]", hint), value)
    if hint is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, hint):
        raise TypeError(f"{value!r} is no {hint.__name__}")
    return value
