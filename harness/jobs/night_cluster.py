# SPDX-License-Identifier: MIT
"""The suites of a night on a cluster: a plan for each selection of tests, as Slurm's jobs.

In the directory of the night, ``slurm/1`` and so on have a plan, its scripts, logs, the shards'
reports and the whole one; all hosts must see them. A night that is gone on with waits for the jobs
that it submitted.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from harness.core.errors import ArtifactError, UsageError
from harness.core.files import replace_file
from harness.history.from_report import kernels_of as kernels_used
from harness.history.from_report import measures_of, results_of
from harness.history.night import COMES_UP, State, TestRun
from harness.jobs.night_suites import Outcome
from harness.jobs.run_suite import worst_status
from harness.jobs.shard_commands import plan_suite
from harness.jobs.slurm_command import wait_for
from harness.shards import slurm
from harness.shards.plan import kernels_of, read_plan
from harness.suite.report_files import make_directory, write_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.history.night import Planned
    from harness.report.model import Hole, Report
    from harness.shards.plan import Plan

JOBS = "jobs.json"  # Slurm's numbers of what was submitted
ELSEWHERE = "the cluster runs the suite of `validate` with its own QEMU, and nothing else"


@dataclass(frozen=True)
class Cluster:
    """How a night is submitted: in how many shards, and what each job asks for."""

    shards: int
    request: slurm.Request

    def takes(self, entry: Planned) -> bool:
        """Return whether an entry can be run there."""
        return entry.suite == "validation" and not entry.qemu


def run_on_cluster(
    cluster: Cluster, entries: Mapping[Path, Planned], earlier: Sequence[Path]
) -> dict[str, Outcome]:
    """Submit the entries, wait, and return what came of each by its name.

    ``entries`` are by the directory of their report. ``earlier`` are directories of reports whose
    seconds balance the shards. Raise HarnessError, SetupError or UsageError where nothing came.
    """
    by_select: dict[str, dict[Path, Planned]] = defaultdict(dict)
    for directory, entry in entries.items():
        by_select[entry.select][directory] = entry
    submitted = []
    for number, (select, group) in enumerate(sorted(by_select.items()), 1):
        request = dataclasses.replace(
            cluster.request, directory=cluster.request.directory / str(number)
        )
        kernels = [_argument(entry) for entry in group.values()]
        submitted.append((request, _submitted(cluster, request, kernels, select, earlier), group))
    found = {}
    for request, ids, group in submitted:
        report = wait_for(request.directory, ids)
        plan = read_plan(request.directory / slurm.PLAN)
        for directory, entry in group.items():
            found[entry.entry] = _outcome(_part(report, plan, _argument(entry)), directory)
    return found


def _submitted(
    cluster: Cluster,
    request: slurm.Request,
    kernels: Sequence[str],
    select: str,
    earlier: Sequence[Path],
) -> list[str]:
    """Return Slurm's numbers of the jobs of a plan, which is submitted unless it was already."""
    here = request.directory
    if (here / JOBS).is_file():
        click.echo(f"waiting for the jobs of {here}")
        return _read_ids(here)
    plan = plan_suite(kernels, cluster.shards, select or None, earlier)
    ids = list(slurm.submit(slurm.write_jobs(plan, request), here).values())
    replace_file(here / JOBS, json.dumps(ids).encode())
    click.echo(f"to end the jobs of {here}: scancel {' '.join(ids)}")
    return ids


def _argument(entry: Planned) -> str:
    return f"{entry.kernel}@{entry.machine}" if entry.machine else entry.kernel


def _read_ids(here: Path) -> list[str]:
    path = here / JOBS
    try:
        ids = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} is damaged: {error}", f"remove {here}") from error
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise ArtifactError(f"{path} has no list of jobs", f"remove {here}")
    return ids


def _part(report: Report, plan: Plan, kernel: str) -> Report:
    """Return what a merged report says of one kernel on one machine."""
    planned = {test.id for shard in plan.shards for test in shard if test.kernel == kernel}
    tests = tuple(test for test in report.tests if test.id in planned)
    names = {(test.kernel, test.machine) for test in tests}
    return dataclasses.replace(
        report,
        tests=tests,
        kernels=tuple(used for used in report.kernels if (used.name, used.machine) in names),
        holes=tuple(hole for hole in report.holes if _is_about(hole, plan, kernel, planned)),
    )


def _is_about(hole: Hole, plan: Plan, kernel: str, planned: set[str]) -> bool:
    """Return whether a hole takes something of a kernel; one that names nothing does of each."""
    if hole.tests:
        return not planned.isdisjoint(hole.tests)
    if 1 <= hole.shard <= len(plan.shards):
        return kernel in kernels_of(plan.shard(hole.shard))
    return True


def _outcome(report: Report, directory: Path) -> Outcome:
    write_all(report, make_directory(directory))
    first = (TestRun(COMES_UP, t.kernel, t.machine, State.PASS, 0.0) for t in report.tests[:1])
    return Outcome(
        worst_status(report),
        (*first, *results_of(report)),
        kernels_used(report),
        measures_of(report),
        errors=(*report.errors, *(hole.text for hole in report.holes)),
        qemu=report.qemu,
        command=report.command,
        page=True,
    )


def left_out(cluster: Cluster, entries: Sequence[Planned]) -> tuple[Planned, ...]:
    """Return the entries of a night, those that the cluster does not run with the reason.

    Raise UsageError if it runs none of what fits in the night.
    """
    fitting = [entry for entry in entries if not entry.left_out]
    if fitting and not any(map(cluster.takes, fitting)):
        raise UsageError(f"nothing of the matrix can be run: {ELSEWHERE}", "name such suites")
    return tuple(
        entry
        if entry.left_out or cluster.takes(entry)
        else dataclasses.replace(entry, left_out=ELSEWHERE)
        for entry in entries
    )
