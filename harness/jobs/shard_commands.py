# SPDX-License-Identifier: MIT
"""``mte-harness plan``, ``bundle``, ``shard`` and ``merge``: one suite on many machines."""

from __future__ import annotations

import dataclasses
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.errors import OK, ArtifactError, HarnessError, SourceError, UsageError
from harness.core.paths import cache_root, require_utf8, resources
from harness.jobs.options import qemu_option, shown_progress, workers_option
from harness.jobs.run_suite import list_suite, run_suite, worst_status
from harness.kernel import DebianKernel, RecipeKernel, locate_kernel, pack
from harness.kernel.locate import split_revision
from harness.report import json_file, terminal
from harness.report.model import Report, ShardRecord
from harness.shards.balance import cut
from harness.shards.merge import Part, merge
from harness.shards.plan import (
    Plan,
    PlannedTest,
    harness_key,
    harness_name,
    kernels_of,
    read_plan,
    require_own,
    write_plan,
)
from harness.shards.seconds import UNKNOWN, Seconds
from harness.suite.report_files import PAGE, REPORT, make_directory, remove_old, write_all
from harness.suite.session import Session
from harness.suite.target import machine_of, split_target

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIRECTORY = click.Path(path_type=Path)
_plan_argument = click.argument("plan", type=_DIRECTORY)


@click.command("plan")
@click.argument("kernels", nargs=-1, required=True, metavar="KERNEL[@MACHINE]...")
@click.option("--shards", type=click.IntRange(1), required=True, help="How many shards.")
@click.option("-k", "expression", help="Only tests that match this pytest expression.")
@click.option(
    "--report",
    "reports",
    type=_DIRECTORY,
    multiple=True,
    help="A report whose seconds balance the shards; may be repeated.",
)
@click.option("-o", "--output", type=_DIRECTORY, required=True, help="The plan's file.")
def plan_command(
    kernels: tuple[str, ...],
    shards: int,
    expression: str | None,
    reports: tuple[Path, ...],
    output: Path,
) -> int:
    """Cut the suite on each KERNEL into shards, for many machines.

    No kernel is built. The same tests and seconds give the same plan.
    """
    require_utf8(*kernels, str(output))
    plan = plan_suite(kernels, shards, expression, reports)
    write_plan(plan, output)
    for number, shard in enumerate(plan.shards, 1):
        about = sum(test.seconds for test in shard)
        names = ", ".join(kernels_of(shard))
        click.echo(f"shard {number}: {len(shard)} tests, about {about:.0f} s, {names}")
    tests = [test for shard in plan.shards for test in shard]
    whole = sum(test.seconds for test in tests)
    known = "" if reports else f"; nothing is known: {UNKNOWN:.0f} s a test are assumed"
    click.echo(f"all: {len(tests)} tests, about {whole:.0f} s one after the other{known}")
    return OK


def plan_suite(
    kernels: Iterable[str], shards: int, expression: str | None, reports: Iterable[Path]
) -> Plan:
    """Return the plan of the suite on ``kernels``, balanced by the reports in some directories.

    Raise UsageError for an unknown kernel, an ``expression`` that fits no test, or too many shards.
    """
    seconds = Seconds(json_file.read(directory / REPORT) for directory in reports)
    wanted = tuple(dict.fromkeys(_travelling(kernel) for kernel in kernels))
    listing = list_suite(wanted, None, expression)
    tests = [PlannedTest(test.id, test.kernel, seconds.of(test.id)) for test in listing.tests]
    return Plan(harness_key(), harness_name(), wanted, cut(tests, shards), listing.left_out)


def _travelling(argument: str) -> str:
    """Return KERNEL[@MACHINE] with a whole path, as another directory or host needs it."""
    kernel, machine = split_target(argument)
    source = locate_kernel(kernel, resources())
    named = isinstance(source, (RecipeKernel, DebianKernel)) and kernel[0] not in "./~"
    if not named:
        found = split_revision(kernel)
        path = Path(kernel).expanduser().resolve()
        kernel = f"{found[0]}:{found[1]}" if found else str(path)
    return f"{kernel}@{machine}" if machine else kernel


@click.command("bundle")
@_plan_argument
@click.option("--output", type=_DIRECTORY, required=True, help="The bundle's directory.")
@click.option("--kernel", "only", multiple=True, metavar="KERNEL[@MACHINE]", help="Only these.")
def bundle_command(plan: Path, output: Path, only: tuple[str, ...]) -> int:
    """Put the kernels of PLAN into a directory, for hosts that have no source or compiler of them.

    What the cache lacks is built. Several hosts may write to the same directory at once.
    """
    wanted = _named(read_plan(plan), only)
    with shown_progress() as progress:
        session = Session(cache_root(), progress)
        for argument in dict.fromkeys(split_target(kernel)[0] for kernel in wanted):
            source = locate_kernel(argument, resources())
            kernel = session.kernel(source)
            try:
                selftests = session.selftests(kernel)
            except SourceError:  # as on one host, they are then skipped
                selftests = None
            image = session.image.disk.parent
            machine = machine_of(source)
            pack(kernel, argument, machine, selftests, image, output, progress)
            click.echo(f"{argument} {kernel.release} {kernel.key}")
    return OK


def _named(plan: Plan, only: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [kernel for kernel in only if kernel not in plan.kernels]:
        raise UsageError(
            f"the plan has no kernel {unknown[0]}", f"it has: {', '.join(plan.kernels)}"
        )
    return only or plan.kernels


@click.command("shard")
@_plan_argument
@click.argument("number", type=int)
@click.option("--output", type=_DIRECTORY, required=True, help="Directory of the shard's report.")
@click.option("--bundle", type=_DIRECTORY, help="Take the kernels from this directory.")
@qemu_option
@workers_option
def shard_command(
    plan: Path,
    number: int,
    output: Path,
    bundle: Path | None,
    qemu_binary: str | None,
    *,
    workers: int,
) -> int:
    """Run shard NUMBER of PLAN, counted from 1, and write its report.

    The exit status is that of validate. A report is there in any case, unless the shard is killed.
    """
    require_utf8(str(output), str(bundle or ""), str(Path.cwd()))
    whole = read_plan(plan)
    tests = whole.shard(number)
    require_own(whole, plan)
    directory = make_directory(output)
    started = datetime.now(UTC)
    trouble: HarnessError | None = None
    try:
        status = run_suite(
            whole.kernels,
            None,
            report=directory,
            expression=None,
            workers=workers,
            qemu_binary=qemu_binary,
            tests=[str(resources() / test.id) for test in tests],
            bundle=bundle.resolve() if bundle else None,
        )
    except HarnessError as error:
        trouble, status = error, error.status
    if (directory / REPORT).is_file():
        report = json_file.read(directory / REPORT)
    else:
        said = str(trouble) if trouble else f"pytest ended with status {status} before any test"
        report = _empty(started, said)
    node = platform.node()
    record = ShardRecord(
        whole.key, number, len(whole.shards), whole.harness, whole.commit, node, status
    )
    write_all(dataclasses.replace(report, shards=(record,)), directory)
    if trouble:
        raise trouble
    return status


def _empty(started: datetime, error: str) -> Report:
    """Return the report of a shard that came to no test."""
    return Report(
        started=started.isoformat(timespec="seconds"),
        seconds=(datetime.now(UTC) - started).total_seconds(),
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
        host={},
        qemu="",
        machine={},
        kernels=(),
        tests=(),
        errors=(error,),
    )


@click.command("merge")
@click.argument("directories", nargs=-1, type=_DIRECTORY, metavar="DIR...")
@click.option("--plan", type=_DIRECTORY, required=True, help="The plan's file.")
@click.option("--report", type=_DIRECTORY, required=True, help="Directory of the whole report.")
def merge_command(directories: tuple[Path, ...], plan: Path, report: Path) -> int:
    """Make one report from the shards' directories, and name each hole.

    A test of the plan without a result, or a shard that is missing or that the host ended, is a
    hole: then the report is not good, whatever the rest found.
    """
    whole = read_plan(plan)
    directory = make_directory(report)
    if directory in {path.resolve() for path in directories}:
        raise UsageError(f"{report} is the directory of a shard", "name another for --report")
    remove_old(directory)
    command = shlex.join(["mte-harness", *sys.argv[1:]])
    merged = merge(list(map(_part, directories)), whole, command)
    write_all(merged, directory)
    click.echo(terminal.render(merged, directory / PAGE, color=sys.stdout.isatty()))
    return worst_status(merged)


def _part(directory: Path) -> Part:
    path = directory / REPORT
    if not path.exists():
        return Part(str(directory), None)
    try:
        return Part(str(directory), json_file.read(path))
    except ArtifactError as error:
        return Part(str(directory), None, error.cause)
