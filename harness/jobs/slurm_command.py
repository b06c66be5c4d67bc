# SPDX-License-Identifier: MIT
"""``mte-harness slurm``: a plan on a cluster, and its one report."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from harness.core.errors import OK, HarnessError
from harness.core.paths import require_utf8
from harness.jobs.options import workers_option
from harness.jobs.run_suite import worst_status
from harness.report import json_file, terminal
from harness.shards import slurm
from harness.shards.plan import read_plan
from harness.suite.report_files import PAGE, REPORT

_EVERY = 2.0  # seconds
_PATIENCE = 600.0  # seconds without an answer of Slurm


@click.command("slurm")
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("directory", type=click.Path(path_type=Path))
@workers_option
@click.option(
    "--cache",
    default="",
    metavar="DIR",
    help="The shards' cache on a node; variables in it are the node's: '/scratch/$USER/mte'.",
)
@click.option(
    "--tries",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="How often a job starts again that the host's trouble ended.",
)
@click.option(
    "--sbatch", "words", multiple=True, metavar="WORD", help="One more argument of each sbatch."
)
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
    require_utf8(str(directory), cache, *words)
    command = str(Path(sys.executable).with_name("mte-harness"))
    place = directory.resolve()
    request = slurm.Request(place, command, workers, cache, tries, words)
    jobs = slurm.write_jobs(read_plan(plan), request)
    if dry_run:
        for line in slurm.commands(jobs, place):
            click.echo(line)
        return OK
    ids = slurm.submit(jobs, place)
    for name, number in ids.items():
        click.echo(f"{name}: job {number}")
    click.echo(f"to end them: scancel {' '.join(ids.values())}")
    return _wait(place, list(ids.values())) if wait else OK


def _wait(directory: Path, ids: list[str]) -> int:
    """Wait until the jobs have ended; show the report, and return its status."""
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
    report = json_file.read(path / REPORT)
    click.echo(terminal.render(report, path / PAGE, color=sys.stdout.isatty()))
    return worst_status(report)
