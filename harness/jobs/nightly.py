# SPDX-License-Identifier: MIT
"""``mte-harness nightly``: many runs, and what changed since the night before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core import errors
from harness.core.amounts import duration
from harness.core.errors import UsageError, is_host_trouble
from harness.core.file_lock import locked
from harness.core.files import replace_file
from harness.core.paths import cache_root, is_checkout, resources
from harness.core.progress import plain_progress
from harness.history import kcidb, mail
from harness.history.changes import Kind
from harness.history.database import opened
from harness.history.make_room import make_room
from harness.history.night import load_run, run_files
from harness.history.night_plan import forecast
from harness.history.past import load_past
from harness.history.review import review
from harness.history.site import Site
from harness.jobs.matrix import SHIPPED, read_matrix
from harness.jobs.night_cluster import Cluster
from harness.jobs.night_run import Place, finish, new_night, run_night, unfinished, untold
from harness.jobs.slurm_command import cluster_options, request
from harness.suite.report_files import make_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.history.night import Night
    from harness.history.review import Review

MAIL = "mail.txt"
KCIDB = "kcidb.json"
SITE = "site"
FRONT = "index.html"
SLURM = "slurm"  # below the directory of a night


def default_results() -> Path:
    """Return where the results are unless --results says so."""
    return (resources() if is_checkout() else Path.cwd()) / "reports" / "nightly"


results_option = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=default_results,
    show_default="reports/nightly",
    help="Directory of the records, the database and the site.",
)


@click.command("nightly")
@click.option(
    "--matrix",
    type=click.Path(path_type=Path),
    default=SHIPPED,
    show_default="kernel-configs/nightly.toml",
    help="What is to be run.",
)
@click.option("--budget", metavar="TIME", help="90s, 60m, 1h30m (default: the matrix's).")
@results_option
@click.option(
    "--engine",
    type=click.Choice(["host", "slurm"]),
    default="host",
    show_default=True,
    help="Where the suites of `validate` run; with slurm, nothing else does.",
)
@click.option(
    "--shards",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="With --engine slurm: into how many parts all of them are cut.",
)
@cluster_options
@click.option("--dry-run", is_flag=True, help="Only print the forecast.")
def nightly_command(
    matrix: Path,
    budget: str | None,
    results: Path,
    engine: str,
    shards: int,
    cache: str,
    tries: int,
    words: tuple[str, ...],
    *,
    dry_run: bool,
) -> int:
    """Run the matrix, as far as it fits in the budget, and say what changed.

    A night that was interrupted goes on where it was, for 20 hours and with the same matrix and
    budget. The status is 0 if nothing new is wrong and 1 if something is (a regression, a new
    failure, a test that disappeared or could not run, a known bug that no longer shows); that of
    the host's trouble, if that is all there is.
    """
    read = read_matrix(matrix)
    seconds = _budget(budget) if budget else read.budget
    place = Place(make_directory(results))
    if dry_run:
        with opened(place.results) as database:
            night = new_night(place, read, seconds, database)
        click.echo(forecast(night.entries, night.budget))
        return errors.OK
    with locked(place.results / "lock", "another night is run; waiting for it", plain_progress()):
        not_told = untold(place)
        begun = unfinished(place, read)
        if begun and begun.budget == seconds:
            night = begun
            click.echo(f"going on with the night {night.name}")
        else:
            with opened(place.results) as database:
                night = new_night(place, read, seconds, database)
        cluster = None
        if engine == "slurm":
            asked = request(place.night(night.name) / SLURM, read.workers, cache, tries, words)
            cluster = Cluster(shards, asked)
        night = run_night(place, night, read.workers, plain_progress(), cluster)
        ended = _tell(place, night, [name for name in not_told if name != night.name], read.keep)
        finish(place, night)
        return ended


def _budget(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise UsageError(f"--budget: {error}", "write 90s, 60m or 1h30m") from error


def _tell(place: Place, night: Night, not_told: Sequence[str], keep: int) -> int:
    """Write what the night leaves, and return its exit status."""
    results = place.results
    with opened(results) as database:
        seen = review(database, load_past(database, night.name, not_told), night)
        Site(seen, database).write(results / SITE)
    click.echo(f"\n{mail.text(seen)}")
    replace_file(results / MAIL, mail.message(seen, f"The pages: {results / SITE / FRONT}"))
    runs = [load_run(file) for file in run_files(results) if file.parents[1].name == night.name]
    replace_file(results / KCIDB, kcidb.dumps(kcidb.document(runs)))
    if keep:
        click.echo(make_room(keep, cache_root(), results, runs), nl=False)
    click.echo(f"{results / SITE / FRONT}")
    return status(seen)


def status(seen: Review) -> int:
    """Return the exit status of a night.

    What could not run is the host's trouble where that has a status, else a failure. What was not
    put to the test is chance, and on the page.
    """
    new = {row.change.kind for rows in seen.rows.values() for row in rows if row.change.alarming}
    statuses = {run.exit_status for run in seen.runs} - {errors.UNTESTED}
    trouble = filter(is_host_trouble, statuses)
    if new - {Kind.COULD_NOT_RUN}:
        return errors.PROGRAM_FAILED
    failed = bool(new) or seen.without_result
    return max(trouble, default=errors.PROGRAM_FAILED if failed else errors.OK)
