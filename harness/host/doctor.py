# SPDX-License-Identifier: MIT
"""What ``mte-harness doctor`` reports: the state of the host, and the cure of each problem."""

from __future__ import annotations

import dataclasses
import enum
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import SetupError
from harness.core.paths import CACHE_VARIABLE, cache_root, checkout, is_checkout
from harness.host import needs, venv
from harness.host.apt import by_hand

if TYPE_CHECKING:
    from harness.host.needs import Survey

# Measured in GB: source and objects of two recipes, ccache, guest image, downloads.
CACHE_GB = 6.0
# In GB: two guests of 1 GiB at once (pytest -n 2), 0.3 more for each QEMU, and a build.
MEMORY_GB = 4.0
MEMINFO = Path("/proc/meminfo")


class Level(enum.Enum):
    """The level of a finding: WARNING slows or limits a run, MISSING prevents it."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One checked subject: what was found, and the cure if that is not OK."""

    subject: str
    level: Level
    found: str
    cure: str = ""


def diagnose() -> tuple[Finding, ...]:
    """Return the findings about all that a run needs. Nothing is changed, and no network used."""
    try:
        survey = needs.survey(needs.distribution(needs.os_id()))
    except SetupError as error:
        host: tuple[Finding, ...] = (
            Finding("distribution", Level.MISSING, error.cause, error.cure),
        )
    else:
        host = (
            Finding("distribution", Level.OK, survey.distribution.name),
            *(_need(survey, need) for need in survey.distribution.needs if need.name != "qemu"),
            _qemu(survey),
        )
    return (*host, _accelerator(), _venv(), *_cache(), _memory())


def _need(survey: Survey, need: needs.Need) -> Finding:
    if need.option:
        return _optional(survey, need)
    lacking = [missing for missing in survey.missing if missing.name == need.name]
    if lacking:
        packages = " ".join(lacking[0].packages)
        return Finding(
            need.name, Level.MISSING, f"not installed: {packages} ({need.why})", _install(survey)
        )
    return Finding(need.name, Level.OK, " ".join(need.packages))


def _optional(survey: Survey, need: needs.Need) -> Finding:
    lacking = [optional for optional in survey.optional if optional.name == need.name]
    if not lacking:
        return Finding(need.name, Level.OK, " ".join(need.packages))
    state = f"not installed: {' '.join(lacking[0].packages)} ({need.why})"
    cure = by_hand(dataclasses.replace(survey, missing=tuple(lacking)))
    return Finding(need.name, Level.WARNING, state, f"for {need.option}, as root: {cure}")


def _qemu(survey: Survey) -> Finding:
    rule, found = survey.distribution.qemu, survey.qemu
    if survey.qemu_path is None:
        return Finding("QEMU", Level.MISSING, f"no {rule.program} on PATH", _install(survey))
    if found is None:
        state = f"{survey.qemu_path} --version prints no version"
        return Finding("QEMU", Level.MISSING, state, _install(survey))
    state = f"{_dotted(found)} ({survey.qemu_path})"
    if found < rule.minimum:
        too_old = f"{state}; {_dotted(rule.minimum)} or newer is needed"
        return Finding("QEMU", Level.MISSING, too_old, _install(survey))
    if found < rule.wanted:
        older = f"{state}; the project's figures come from {_dotted(rule.wanted)}"
        return Finding("QEMU", Level.WARNING, older, "nothing, if the emulator check passes")
    return Finding("QEMU", Level.OK, state)


def _accelerator() -> Finding:
    cores = len(os.sched_getaffinity(0))
    state = f"TCG (software emulation, KVM is not used), {cores} cores"
    if cores < 2:
        return Finding("accelerator", Level.WARNING, state, "guests have 2 CPUs: give it 2 cores")
    return Finding("accelerator", Level.OK, state)


def _venv() -> Finding:
    if not is_checkout():
        return Finding("virtual environment", Level.OK, f"an installed copy in {sys.prefix}")
    root = checkout("mte-harness doctor")
    if venv.is_current(root):
        return Finding("virtual environment", Level.OK, str(root / ".venv"))
    return Finding(
        "virtual environment",
        Level.MISSING,
        f"{root / '.venv'} is not made from the present requirements.lock and pyproject.toml",
        f"run {root}/scripts/validate, which makes it anew",
    )


def _cache() -> tuple[Finding, ...]:
    root = cache_root()
    there = next(path for path in (root, *root.parents) if path.exists())
    elsewhere = f"set {CACHE_VARIABLE} to a directory elsewhere"
    writable = os.access(there, os.W_OK | os.X_OK)
    free = shutil.disk_usage(there).free / 1e9
    roomy = free >= CACHE_GB
    return (
        Finding(
            "cache",
            Level.OK if writable else Level.MISSING,
            str(root) if writable else f"{there} cannot be written to",
            "" if writable else elsewhere,
        ),
        Finding(
            "disk",
            Level.OK if roomy else Level.WARNING,
            f"{free:.1f} GB free" + ("" if roomy else f"; a full cache takes {CACHE_GB:.0f}"),
            "" if roomy else f"mte-harness clean, or {elsewhere}",
        ),
    )


def _memory() -> Finding:
    fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024 / 1e9
    if free < MEMORY_GB:
        state = f"{free:.1f} GB available; two guests and a build take {MEMORY_GB:.0f}"
        return Finding("memory", Level.WARNING, state, "run without -n, or stop other programs")
    return Finding("memory", Level.OK, f"{free:.1f} GB available")


def _install(survey: Survey) -> str:
    return f"scripts/validate installs it; by hand, as root: {by_hand(survey)}"


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
