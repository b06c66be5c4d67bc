# SPDX-License-Identifier: MIT
"""The record of one measurement: a JSON file in ``docs/records/``, and how records add up.

A long measurement is made in pieces, each of which leaves a record. Two records add up only if
they are of one kind and subject and nothing that can change the figure differs between them:
the repository paths of the kind (by git object id), the kernels (by content key), QEMU, the
machine, and, where a value is a wall time, the class of host.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import itertools
import json
import os
import platform
import re
import statistics
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cattrs import BaseValidationError, Converter, transform_error

from harness.core.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SCHEMA = 1
RECORDS = Path("docs/records")
FIGURES = Path("docs/figures.md")
TIME_UNITS = {"s", "ms", "µs"}
_DATE = "%Y-%m-%dT%H:%M:%SZ"

# What starts a guest, runs beside the program in it, and judges the program.
_JUDGED = (
    "guest/agent.c", "guest/include", "guest/init", "guest/lib",
    "harness/core", "harness/guest", "harness/suite", "harness/verdict", "harness/vm",
)  # fmt: skip
_RECIPE = "kernel-configs/{recipe}"


# The repository paths whose content can change the figures of a kind: files, directories, or
# patterns of fnmatch (``*`` also matches ``/``); {recipe} stands for each measured recipe.
KINDS: Mapping[str, tuple[str, ...]] = {
    "figures-of-code": ("harness", "guest", "tests", "README.md"),
    "unit-tests": ("harness", "tests/unit", "guest", "kernel-configs"),
    "bootstrap": ("harness", "guest", "scripts", "requirements.lock"),
    "suite": (*_JUDGED, "guest/probes", "tests/validation", _RECIPE),
    "clone": (*_JUDGED, "harness/jobs/bench.py"),
    "kernel-build": ("harness/core", "harness/kernel", "harness/jobs/bench.py", _RECIPE),
    "costs": (*_JUDGED, "guest/bench", "harness/jobs/costs.py", _RECIPE),
    "pressure": (*_JUDGED, "guest/probes/*/pressure*", "harness/jobs/pressure.py", _RECIPE),
    "mutants": (*_JUDGED, "guest/probes", "tests/mutants", "kernel-configs/*mutants/*"),
    "known-bad": (*_JUDGED, "guest/probes", "harness/jobs/known_bad.py", _RECIPE),
    "series-check": (*_JUDGED, "guest/probes", "harness/jobs/series_*", _RECIPE),
}


@dataclass(frozen=True)
class Host:
    """The host of a measurement; ``load`` is the 1-minute load average when it started."""

    cpu: str
    cpus: int
    memory_mib: int
    distribution: str
    kernel: str
    load: float

    @property
    def host_class(self) -> str:
        """The hosts whose wall times may be added up."""
        memory = round(self.memory_mib / 1024)
        return f"{self.cpus} x {self.cpu}, {memory} GiB, {self.distribution}"


@dataclass(frozen=True)
class Inputs:
    """Everything that can change the figure, but for the host.

    ``objects`` maps the paths of the kind to git object ids, None where the commit has no such
    path; ``kernels`` maps the measured recipes to content keys; ``qemu`` is QEMU's version.
    """

    objects: dict[str, str | None]
    kernels: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    qemu: str = ""


@dataclass(frozen=True)
class Value:
    """The median of ``n`` samples, with the lowest and the highest."""

    value: float
    unit: str
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Record:
    """One measurement.

    ``date`` is the start (UTC, ISO 8601), ``seconds`` how long it took. ``dirty``: the working
    tree was not that of ``commit``, so ``inputs`` do not describe what was measured.
    """

    kind: str
    subject: str
    date: str
    host: Host
    commit: str
    dirty: bool
    command: str
    inputs: Inputs
    seconds: float
    seeds: tuple[int, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA


@dataclass(frozen=True)
class Start:
    """What a measurement notes before it starts: see :func:`begin`."""

    date: str
    host: Host
    commit: str
    dirty: bool
    clock: float


def begin(root: Path) -> Start:
    """Return date, host, load and commit of a measurement in the checkout ``root``."""
    date = datetime.now(UTC).strftime(_DATE)
    commit = git(root, "rev-parse", "HEAD").strip()
    return Start(date, _this_host(), commit, _is_dirty(root), time.monotonic())


def new_record(
    kind: str,
    subject: str,
    *,
    start: Start,
    root: Path,
    command: str,
    kernels: Mapping[str, str] | None = None,
    machine: str = "",
    qemu: str = "",
    seeds: Sequence[int] = (),
    counts: Mapping[str, int] | None = None,
    values: Mapping[str, Value] | None = None,
    notes: Sequence[str] = (),
) -> Record:
    """Return the record of a measurement that ends now; ``kernels`` maps recipes to keys."""
    patterns = [
        pattern.format(recipe=recipe)
        for pattern in KINDS[kind]
        for recipe in (kernels or [""] if "{recipe}" in pattern else [""])
    ]
    moved = git(root, "rev-parse", "HEAD").strip() != start.commit
    return Record(
        kind=kind,
        subject=subject,
        date=start.date,
        host=start.host,
        commit=start.commit,
        dirty=start.dirty or moved or _is_dirty(root),
        command=command,
        inputs=Inputs(object_ids(root, start.commit, patterns), dict(kernels or {}), machine, qemu),
        seconds=round(time.monotonic() - start.clock, 1),
        seeds=tuple(seeds),
        counts=dict(counts or {}),
        values=dict(values or {}),
        notes=tuple(notes),
    )


def value_of(samples: Sequence[float], unit: str) -> Value:
    """Return the median of ``samples``, which are at least one."""
    return Value(statistics.median(samples), unit, len(samples), min(samples), max(samples))


def object_ids(root: Path, commit: str, patterns: Sequence[str]) -> dict[str, str | None]:
    """Return the git object id of each path at ``commit``, None for one that is not there.

    The id of a pattern is a hash of the names and ids of the files that match it.
    """
    listed = {}
    for entry in git(root, "ls-tree", "-rtz", "--full-tree", commit).split("\0")[:-1]:
        facts, path = entry.split("\t", 1)
        listed[path] = facts.split()[2]
    found: dict[str, str | None] = {}
    for pattern in patterns:
        if "*" in pattern:
            names = sorted(path for path in listed if fnmatch.fnmatchcase(path, pattern))
            text = "".join(f"{path} {listed[path]}\n" for path in names)
            found[pattern] = hashlib.sha1(text.encode()).hexdigest() if names else None
        else:
            found[pattern] = listed.get(pattern)
    return found


def save(record: Record, root: Path) -> Path:
    """Write a new file below ``root``/docs/records and return its path; overwrite none."""
    directory = root / RECORDS
    directory.mkdir(parents=True, exist_ok=True)
    when = datetime.strptime(record.date, _DATE).replace(tzinfo=UTC)
    words = [f"{when:%Y%m%d-%H%M}", record.kind, record.subject, record.commit[:7]]
    name = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-") for word in words if word)
    text = json.dumps(_CONVERTER.unstructure(record), indent=1, ensure_ascii=False)
    for number in itertools.count(1):
        path = directory / (f"{name}.json" if number == 1 else f"{name}-{number}.json")
        with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
            file.write(f"{text}\n")
            break
    return path


def load(path: Path) -> Record:
    """Return the record in a file. ArtifactError names the file and what is wrong with it."""
    try:
        data = json.loads(path.read_text("utf-8"))
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"not a record of schema {SCHEMA}: its schema is {schema!r}")
        record = _CONVERTER.structure(data, Record)
        datetime.strptime(record.date, _DATE)  # noqa: DTZ007 - only whether it is a date
        if record.kind not in KINDS:
            raise ValueError(f"unknown kind {record.kind!r}")
        if any(value.n < 1 for value in record.values.values()):
            raise ValueError("a value of no sample")
    except BaseValidationError as error:
        cause = f"{path}: {'; '.join(transform_error(error))}"
        raise ArtifactError(cause, "restore it with git, or remove it") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: {error}", "restore it with git, or remove it") from error
    return record


def load_all(root: Path) -> dict[str, Record]:
    """Return all records by file name without suffix, the oldest first."""
    records = {path.stem: load(path) for path in (root / RECORDS).glob("*.json")}
    return dict(sorted(records.items(), key=lambda item: (item[1].date, item[0])))


@dataclass(frozen=True)
class Sum:
    """Records that add up, by name, the oldest first."""

    pieces: dict[str, Record]

    def having(self, figure: str) -> Sum:
        """Return the sum of those pieces that have the count or value ``figure``."""
        found = {n: p for n, p in self.pieces.items() if figure in {**p.counts, **p.values}}
        return Sum(found)

    @property
    def newest(self) -> Record:
        """The newest record."""
        return list(self.pieces.values())[-1]

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds of all pieces; no two pieces share one."""
        return frozenset(seed for piece in self.pieces.values() for seed in piece.seeds)

    @property
    def counts(self) -> dict[str, int]:
        """Each count, added up."""
        total: Counter[str] = Counter()
        for piece in self.pieces.values():
            total.update(piece.counts)
        return dict(total)

    @property
    def values(self) -> dict[str, Value]:
        """Each value: the mean of the pieces' medians weighted by n, and the extremes."""
        parts: dict[str, list[Value]] = {}
        for piece in self.pieces.values():
            for name, value in piece.values.items():
                parts.setdefault(name, []).append(value)
        return {name: _weighted(values) for name, values in parts.items()}


def add_up(records: Mapping[str, Record]) -> tuple[list[Sum], dict[str, str]]:
    """Add up the records that may be: return the sums, the newest first, and what is left out.

    A record is left out, with the reason, if its tree was dirty, if it repeats a seed of an
    older record of the same sum, or if it gives a value in another unit than that.
    """
    groups: dict[str, dict[str, Record]] = {}
    left_out = {}
    for name, record in sorted(records.items(), key=lambda item: (item[1].date, item[0])):
        group = groups.setdefault(_key(record), {})
        reason = _refusal(record, group)
        if reason:
            left_out[name] = reason
        else:
            group[name] = record
    sums = [Sum(group) for group in groups.values() if group]
    sums.sort(key=lambda total: (total.newest.date, list(total.pieces)[-1]), reverse=True)
    return sums, left_out


def difference(new: Record, old: Record) -> str:
    """Return what keeps two records of one kind and subject from being added up."""
    before, after = old.inputs, new.inputs
    names = {**before.objects, **after.objects}
    found = [name for name in names if before.objects.get(name) != after.objects.get(name)]
    found += [
        what
        for what in ("kernels", "machine", "qemu")
        if getattr(before, what) != getattr(after, what)
    ]
    if old.host.host_class != new.host.host_class and (_is_timed(new) or _is_timed(old)):
        found.append("host")
    return ", ".join(found) or "wall times in one of them only"


def _refusal(record: Record, group: Mapping[str, Record]) -> str:
    if record.dirty:
        return "the working tree was not the commit's"
    for name, other in group.items():
        repeated = sorted({*record.seeds} & {*other.seeds})
        if repeated:
            return f"repeats seeds {', '.join(map(str, repeated))} of `{name}`"
        for what in record.values.keys() & other.values.keys():
            if record.values[what].unit != other.values[what].unit:
                return f"gives {what} in another unit than `{name}`"
    return ""


def _is_timed(record: Record) -> bool:
    return any(value.unit in TIME_UNITS for value in record.values.values())


def _key(record: Record) -> str:
    """Return a string that is equal for records that add up."""
    host = record.host.host_class if _is_timed(record) else ""
    parts = [record.kind, record.subject, _CONVERTER.unstructure(record.inputs), host]
    return json.dumps(parts, sort_keys=True)


def _weighted(values: Sequence[Value]) -> Value:
    n = sum(value.n for value in values)
    mean = sum(value.value * value.n for value in values) / n
    low, high = min(value.low for value in values), max(value.high for value in values)
    return Value(mean, values[0].unit, n, low, high)


def _this_host() -> Host:
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8")
    model = re.search(r"^model name\s*: (.*)$", cpuinfo, re.MULTILINE)  # arm64 has none
    meminfo = Path("/proc/meminfo").read_text("utf-8")
    memory = re.search(r"^MemTotal:\s*(\d+) kB$", meminfo, re.MULTILINE)
    return Host(
        cpu=model[1].strip() if model else platform.machine(),
        cpus=len(os.sched_getaffinity(0)),
        memory_mib=int(memory[1]) >> 10 if memory else 0,
        distribution=platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        kernel=platform.release(),
        load=round(os.getloadavg()[0], 2),
    )


def _is_dirty(root: Path) -> bool:
    """Return whether anything but records and figures differs from the commit."""
    outputs = [f":(top,exclude){path}" for path in (RECORDS, FIGURES)]
    return bool(git(root, "status", "--porcelain", "--", ":(top)", *outputs))


def git(root: Path, *words: str) -> str:
    """Return what git prints in ``root``. UsageError if that is no checkout."""
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UsageError(
            f"git {words[0]} failed in {root}: a record names the commit that was measured",
            "measure in a git checkout",
            details=done.stderr,
        )
    return done.stdout


def _only(*types: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) not in types:  # isinstance() takes True for an int
            raise TypeError(f"{value!r} is no {types[0].__name__}")
        return types[0](value)

    return structure


def _converter() -> Converter:
    """Return a converter that refuses what it would have to guess: cattrs takes "5" for an int."""
    converter = Converter(forbid_extra_keys=True)
    for types in ((str,), (int,), (float, int), (bool,)):
        converter.register_structure_hook(types[0], _only(*types))
    return converter


_CONVERTER = _converter()
