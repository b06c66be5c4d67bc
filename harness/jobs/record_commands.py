# SPDX-License-Identifier: MIT
"""``mte-harness record``: measure, or take a report, and leave a record in docs/records/."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.paths import checkout
from harness.jobs.options import shown_progress
from harness.kernel.mutants import HOLDERS
from harness.measure import measuring, records
from harness.measure.cluster_figures import cluster_record
from harness.measure.code_figures import code_record
from harness.measure.explore_figures import explore_record
from harness.measure.fresh import fresh_record
from harness.measure.night_speed import night_record
from harness.measure.scale_figures import scale_record
from harness.measure.site_speed import site_record
from harness.report import json_file
from harness.suite.report_files import REPORT

if TYPE_CHECKING:
    from harness.report.model import Report


@click.group("record")
def record_group() -> None:
    """Measure, and leave a record in docs/records/."""


@record_group.command("code")
@click.option("--unit-seconds", type=float, required=True, help="Wall time of the unit tests.")
@click.option(
    "--files-passed", type=int, required=True, help="Files that a probe's result passes through."
)
def record_code_command(unit_seconds: float, files_passed: int) -> None:
    """Record lines, import cycles, duplicates and README size of this checkout."""
    root = checkout("mte-harness record")
    record = code_record(
        root,
        unit_seconds=unit_seconds,
        files_passed=files_passed,
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
    )
    keep(record, root)


@record_group.command("report")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(("suite", "mutants", "known-bad")), default="suite")
@click.option("--subject", default="", help="What was tested (default: the kernels' names).")
def record_report_command(directory: Path, kind: str, subject: str) -> None:
    """Record counts and seconds of the report in DIRECTORY, made from this commit."""
    root = checkout("mte-harness record")
    keep(report_record(json_file.read(directory / REPORT), root, kind, subject), root)


@record_group.command("fresh", context_settings={"ignore_unknown_options": True})
@click.argument("release", type=click.Choice(("12", "13")))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def record_fresh_command(release: str, command: tuple[str, ...]) -> None:
    """Record how long COMMAND takes on a fresh Debian RELEASE, with nothing cached. Needs root."""
    root = checkout("mte-harness record")
    keep(fresh_record(root, release, command), root)


@record_group.command("cluster")
@click.argument("kernel", metavar="KERNEL[@MACHINE]")
@click.option("-k", "expression", help="Only tests that match this pytest expression.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
def record_cluster_command(kernel: str, expression: str | None, rounds: int) -> None:
    """Record what a cluster of Slurm nodes on this host makes of the suite. Needs root and Slurm.

    Two nodes against one process with two guests at once, and four nodes of half a core against
    one, alternately. Compare only the ratios.
    """
    root = checkout("mte-harness record")
    keep(cluster_record(root, kernel, expression, rounds), root)


@record_group.command("explore")
@click.argument("recipe", type=click.Choice(list(HOLDERS)))
@click.option("--number", "numbers", type=int, multiple=True, help="Only this mutant.")
@click.option("--area", "areas", multiple=True, help="Only the mutants of this area.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=5.0)
def record_explore_command(
    recipe: str, numbers: tuple[int, ...], areas: tuple[str, ...], minutes: float
) -> None:
    """Record which mutants of RECIPE `explore` finds, each in so many minutes."""
    root = checkout("mte-harness record")
    with shown_progress() as progress:
        record = explore_record(root, recipe, numbers, areas, minutes, progress)
    keep(record, root)


@record_group.command("scale")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--kernels", type=click.IntRange(1), default=100, show_default=True)
@click.option("--shards", type=click.IntRange(1), default=1000, show_default=True)
def record_scale_command(directory: Path, kernels: int, shards: int) -> None:
    """Record what plan and merge of very many shards cost, with the tests of DIRECTORY's report.

    No guest is started. The report is one of a single kernel.
    """
    root = checkout("mte-harness record")
    keep(scale_record(root, json_file.read(directory / REPORT), kernels, shards), root)


@record_group.command("site")
def record_site_command() -> None:
    """Record how long database and pages of a year of nights take, from records made up."""
    root = checkout("mte-harness record")
    keep(site_record(root, shlex.join(["mte-harness", *sys.argv[1:]])), root)


@record_group.command("night")
@click.argument("kernel")
@click.option("-k", "expression", required=True, help="The tests that both run.")
def record_night_command(kernel: str, expression: str) -> None:
    """Record what a night on KERNEL takes beside `validate` of the same tests."""
    root = checkout("mte-harness record")
    words = shlex.join(["mte-harness", *sys.argv[1:]])
    keep(night_record(root, kernel, expression, words), root)


def report_record(report: Report, root: Path, kind: str, subject: str) -> records.Record:
    """Return the record of a pytest run: how many tests and KTAP results had each outcome.

    The record is dirty if the newest commit was made after the run had started.
    """
    start = measuring.begin(root)
    committed = int(measuring.git(root, "show", "-s", "--format=%ct", "HEAD"))
    started = datetime.fromisoformat(report.started)
    counts: dict[str, int] = {}
    for test in report.tests:
        counts[f"tests: {test.status}"] = counts.get(f"tests: {test.status}", 0) + 1
        for case in test.result.cases:
            name = f"KTAP results: {case.outcome}"
            counts[name] = counts.get(name, 0) + 1
    machines = {test.machine for test in report.tests if test.machine}
    return measuring.new_record(
        kind,
        subject or ", ".join(dict.fromkeys(kernel.name for kernel in report.kernels)),
        start=measuring.Start(
            started.strftime(records.DATE),
            start.host,
            start.commit,
            start.dirty or committed > started.timestamp(),
            start.clock - report.seconds,
        ),
        root=root,
        command=report.command,
        kernels={kernel.name: kernel.key for kernel in report.kernels},
        machine=", ".join(sorted(machines)),
        qemu=report.qemu,
        counts=counts,
        values={"all tests": measuring.value_of([report.seconds], "s"), **_beside(report)},
    )


def _beside(report: Report) -> dict[str, records.Value]:
    """Return the wall time of a worker for each program that was not the program's own."""
    own = [test.result.phases["run"] for test in report.tests if "run" in test.result.phases]
    if not own:
        return {}
    found = re.search(r" -n (\d+)\b", report.command)  # of pytest-xdist
    workers = int(found[1]) if found else 1
    beside = (report.seconds * workers - sum(own)) / len(own)
    return {"a worker's time beside each program": measuring.value_of([beside], "s")}


def keep(record: records.Record, root: Path) -> None:
    """Save a record and print its path."""
    if record.dirty:
        click.echo("the working tree is not the commit's: figures will leave this out", err=True)
    click.echo(records.save(record, root))
