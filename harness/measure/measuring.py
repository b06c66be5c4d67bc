# SPDX-License-Identifier: MIT
"""Makes the record of a measurement: what was measured, where, on which commit."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import platform
import re
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.core.git_output import run_git
from harness.measure.records import DATE, FIGURES, KINDS, RECORDS, Host, Inputs, Record, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
    date = datetime.now(UTC).strftime(DATE)
    commit = git(root, "rev-parse", "HEAD").strip()
    return Start(date, this_host(), commit, _is_dirty(root), time.monotonic())


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


def this_host() -> Host:
    """Return the host as /proc and os-release describe it, and its load now."""
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
    """Return whether anything but records, figures and rates differs from the commit."""
    outputs = [f":(top,exclude){path}" for path in (RECORDS, FIGURES, "guest/bugs/*/rates.json")]
    return bool(git(root, "status", "--porcelain", "--", ":(top)", *outputs))


def git(root: Path, *words: str) -> str:
    """Return what git prints in ``root``. UsageError if that is no checkout."""
    done = run_git(root, *words)
    if done.returncode:
        raise UsageError(
            f"git {words[0]} failed in {root}: a record names the commit that was measured",
            "measure in a git checkout",
            details=done.stderr,
        )
    return done.stdout
