# SPDX-License-Identifier: MIT
"""``mte-harness slurm``: a plan on a cluster, and its one report."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.errors import OK, HarnessError
from harness.core.paths import require_utf8
from harness.jobs.options import workers_option
from harness.jobs.run_suite import worst_status
from harness.report import json_file, terminal
from harness.shards import slurm
from harness.shards.plan import read_plan, require_own
from harness.suite.report_files import PAGE, REPORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.report.model import Report

_EVERY = 2.0  # seconds
_PATIENCE = 600.0  # seconds without an answer of Slurm


_OPTIONS = (
    click.option(
        "--cache",
        default="",
        metavar="DIR",
        help="The shards' cache on a node; variables in it are the node's: '/scratch/$USER/mte'.",
    ),
    click.option(
        "--tries",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="How often a job starts again that the host's trouble ended.",
    ),
    click.option(
        "--sbatch", "words", multiple=True, metavar="WORD", help="One more argument of each sbatch."
    ),
)


def cluster_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that say how jobs are submitted: ``cache``, ``tries``, ``words``."""
    return functools.reduce(lambda function, option: option(function), reversed(_OPTIONS), command)


def request(
    directory: Path, workers: int, cache: str, tries: int, words: tuple[str, ...]
) -> slurm.Request:
    """Return how a plan is submitted whose everything goes to ``directory``."""
    require_utf8(str(directory), cache, *words)
    command = str(Path(sys.executable).with_name("mte-harness"))
    return slurm.Request(directory.resolve(), command, workers, cache, tries, words)


@click.command("slurm")
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("directory", type=click.Path(path_type=Path))
@workers_option
@cluster_options
@click.option("--wait", is_flag=True, help="Wait for the report, and end with its status.")
@click.option("--dry-run", is_flag=True, help="Write the scripts, print how, and submit nothing.")
def slurm_command(
    plan: Path,
    directory: Path,
    cache: str,
    tries: int,
    words: tuple[str, ...],
    *,
    workers: int,
    wait: bool,
    dry_run: bool,
) -> int:
    """Run PLAN on a cluster with Slurm; DIRECTORY, which all nodes see, gets everything.

    A build job for each kernel, arrays of shards after them, and a merge after those.
    """
    asked = request(directory, workers, cache, tries, words)
    place = asked.directory
    whole = read_plan(plan)
    require_own(whole, plan)
    jobs = slurm.write_jobs(whole, asked)
    if dry_run:
        for line in slurm.commands(jobs, place):
            click.echo(line)
        return OK
    ids = slurm.submit(jobs, place)
    for name, number in ids.items():
        click.echo(f"{name}: job {number}")
    click.echo(f"to end them: scancel {' '.join(ids.values())}")
    if not wait:
        return OK
    report = wait_for(place, list(ids.values()))
    page = place / slurm.REPORT / PAGE
    click.echo(terminal.render(report, page, color=sys.stdout.isatty()))
    return worst_status(report)


def wait_for(directory: Path, ids: list[str]) -> Report:
    """Wait until the jobs of a directory have ended; return the report that their merge made.

    Raise HarnessError where there is none, or Slurm does not answer for _PATIENCE.
    """
    answered = time.monotonic()
    while True:
        try:
            if not slurm.states(ids):
                break
            answered = time.monotonic()
        except HarnessError:  # slurmctld is restarted now and then, and the jobs go on
            if time.monotonic() - answered > _PATIENCE:
                raise
        time.sleep(_EVERY)
    path = directory / slurm.REPORT
    if not (path / REPORT).is_file():
        raise HarnessError(f"the merge left no report in {path}", f"see {directory}/logs")
    return json_file.read(path / REPORT)
