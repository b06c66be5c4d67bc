# SPDX-License-Identifier: MIT
"""The record of one measurement: a small JSON file in ``docs/records/``."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cattrs import BaseValidationError, transform_error

from harness.core.errors import ArtifactError
from harness.core.structure import strict_converter

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
RECORDS = Path("docs/records")
FIGURES = Path("docs/figures.md")
TIME_UNITS = {"s", "ms", "µs"}
DATE = "%Y-%m-%dT%H:%M:%SZ"
CONVERTER = strict_converter()

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
    "rate": (*_JUDGED, "guest/probes", "tests/validation", _RECIPE),
    "clone": (
        *_JUDGED,
        "harness/measure/speeds.py",
        "harness/measure/pressure.py",
        "guest/probes/*/pressure*",
    ),
    "cluster": (
        *_JUDGED,
        "guest/probes",
        "tests/validation",
        "harness/shards",
        "harness/jobs/run_suite.py",
        "harness/jobs/s*_command*.py",
    ),
    "scale": ("harness/report", "harness/shards", "harness/measure/scale_figures.py"),
    "kernel-build": ("harness/core", "harness/kernel", "harness/measure/speeds.py", _RECIPE),
    "costs": (*_JUDGED, "guest/bench", "harness/measure/costs.py", _RECIPE),
    "pressure": (*_JUDGED, "guest/probes/*/pressure*", "harness/measure/pressure.py", _RECIPE),
    "mutants": (*_JUDGED, "guest/probes", "tests/mutants", "kernel-configs/*mutants/*"),
    "known-bad": (
        *_JUDGED,
        "guest/probes",
        "harness/jobs/known_bad.py",
        "harness/jobs/run_suite.py",
        _RECIPE,
    ),
    "bisect": (*_JUDGED, "guest/probes", "guest/bugs/*/bug.toml", "harness/bugs", _RECIPE),
    "explore": (*_JUDGED, "guest/explore", "harness/explore", _RECIPE),
    "site": ("harness/history", "harness/measure/site_speed.py"),
    "night": (
        "harness/history",
        "harness/jobs/night*",
        "harness/measure/night_speed.py",
        "harness/jobs/run_suite.py",
    ),
    "series-check": (*_JUDGED, "guest/probes", "harness/jobs/series_*", "harness/series", _RECIPE),
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


def save(record: Record, root: Path) -> Path:
    """Write a new file below ``root``/docs/records and return its path; overwrite none."""
    directory = root / RECORDS
    directory.mkdir(parents=True, exist_ok=True)
    when = datetime.strptime(record.date, DATE).replace(tzinfo=UTC)
    words = [f"{when:%Y%m%d-%H%M}", record.kind, record.subject, record.commit[:7]]
    name = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-") for word in words if word)
    text = json.dumps(CONVERTER.unstructure(record), indent=1, ensure_ascii=False)
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
        record = CONVERTER.structure(data, Record)
        datetime.strptime(record.date, DATE)  # noqa: DTZ007 - only whether it is a date
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
