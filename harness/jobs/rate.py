# SPDX-License-Identifier: MIT
"""``mte-harness rate``: how often the suite is wrong about a kernel that is known to be healthy.

Whatever is not good on such a kernel is a wrong failure. The counts of all runs go into one
record, which adds up with those of other runs (harness/measure/record_sums.py).
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core import errors
from harness.core.errors import HarnessError
from harness.core.paths import cache_root, checkout
from harness.jobs.host_load import LOADS, host_load
from harness.jobs.options import (
    machine_option,
    qemu_option,
    shown_progress,
    source_options,
    workers_option,
)
from harness.jobs.record_commands import keep
from harness.jobs.run_suite import prepare, run_suite
from harness.measure import measuring
from harness.report import json_file
from harness.suite.report_files import REPORT
from harness.suite.session import Session
from harness.verdict.result import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.kernel.build_options import BuildOptions
    from harness.report.model import Report, TestRecord

# How the names of counts begin; the rest is the test, the case or the reason.
WRONG, HOST, AGAIN, SKIPPED = "wrong: ", "could not run: ", "again: ", "skipped: "
RUNS, PROGRAMS, RESULTS, KNOWN = "runs", "programs", "results", "known bugs"


@click.command("rate")
@click.argument("kernel", metavar="KERNEL[@MACHINE]")
@machine_option
@source_options
@qemu_option
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--load",
    type=click.Choice(tuple(LOADS)),
    default="idle",
    show_default=True,
    help="; ".join(f"{name}: {what}" for name, what in LOADS.items()) + ".",
)
@click.option("-k", "expression", help="Only tests that match this pytest expression.")
@workers_option
def rate_command(
    kernel: str,
    machine: str | None,
    options: BuildOptions,
    qemu_binary: str | None,
    *,
    runs: int,
    load: str,
    expression: str | None,
    workers: int,
) -> int:
    """Run the suite on a healthy KERNEL some times, and record how often it is wrong.

    The reports of runs that were wrong stay below reports/.
    """
    root = checkout("mte-harness rate")
    with shown_progress() as progress:
        prepare(Session(cache_root(), progress, qemu_binary), [kernel], machine, options=options)
    start = measuring.begin(root)
    counts: Counter[str] = Counter()
    why: dict[str, None] = {}
    report, status = None, errors.OK
    with host_load(load):
        for number in range(1, runs + 1):
            with tempfile.TemporaryDirectory(prefix="mte-harness-rate-") as temporary:
                directory = Path(temporary)
                ended = run_suite(
                    [kernel],
                    machine,
                    report=directory,
                    expression=expression,
                    workers=workers,
                    qemu_binary=qemu_binary,
                    options=options,
                    quiet=True,
                )
                report = json_file.read(directory / REPORT)
                found = counts_of(report)
                if bad := [name for name in found if name.startswith((WRONG, HOST))]:
                    kept = root / "reports" / f"rate-{start.date}-{number}".replace(":", "")
                    shutil.copytree(directory, kept)
                    click.echo(f"run {number} is not good: {', '.join(bad)}: {kept}")
            status = max(status, ended)  # the host's trouble is 128 and more
            counts += found
            why |= dict.fromkeys(reasons_of(report))
            click.echo(
                f"run {number} of {runs} on {kernel}, {load}: {report.seconds:.0f} s, "
                f"{found[PROGRAMS]} programs, {wrong(found)} wrong failures"
                + (f", {of_kind(HOST, found)} tests could not run" * bool(of_kind(HOST, found)))
            )
    assert report is not None
    if not counts[PROGRAMS]:
        raise HarnessError("no program ran", "look at what -k leaves")
    words = [kernel, *options.words()]
    machines = {test.machine for test in report.tests if test.machine}
    record = measuring.new_record(
        "rate",
        f"{' '.join(words)}, {load}, -n {workers}",
        start=start,
        root=root,
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
        kernels={each.name: each.key for each in report.kernels},
        machine=", ".join(sorted(machines)),
        qemu=report.qemu,
        counts=counts,
        notes=tuple(why),
    )
    keep(record, root)
    return status


def counts_of(report: Report) -> Counter[str]:
    """Return the counts of one run: programs, KTAP results, and what names begin with above."""
    counts = Counter({RUNS: 1})
    for error in report.errors:
        counts[f"{WRONG}{error}"] += 1
    for test in report.tests:
        if test.status is Status.ERROR and errors.is_host_trouble(test.result.exit_status):
            counts[f"{HOST}{_name(test)}"] += 1
            continue
        if not test.good:
            counts[f"{WRONG}{_name(test)}: {test.status}"] += 1
        if test.status is not Status.SKIP or test.result.phases:
            counts[PROGRAMS] += 1
            counts[RESULTS] += len(test.result.cases)
        for case in test.result.again:
            counts[f"{AGAIN}{_name(test)}::{case}"] += 1
        for reason in test.result.reasons:
            if reason.status is Status.SKIP:
                counts[_skipped(reason.text)] += 1
    return counts


def reasons_of(report: Report) -> list[str]:
    """Return what each test that is not good failed with: the record outlives the report."""
    return [
        f"{_name(test)}: {reason.text}"
        for test in report.tests
        if not test.good
        for reason in test.result.reasons
        if reason.status is test.status
    ]


def wrong(counts: Mapping[str, int]) -> int:
    """Return how many wrong failures there are."""
    return of_kind(WRONG, counts)


def of_kind(kind: str, counts: Mapping[str, int]) -> int:
    """Return the sum of the counts whose names begin with ``kind``."""
    return sum(count for name, count in counts.items() if name.startswith(kind))


def _name(test: TestRecord) -> str:
    return test.name or test.id


def _skipped(text: str) -> str:
    """Return the count's name for the text of a skip (harness/verdict/judge.py).

    A known bug, fixed in a later release or told as one of docs/findings, is no skip.
    """
    if "known bug" in text:
        return KNOWN
    match = re.match(r"(?:.*: skipped, (?P<lack>[^:]+):|.*: (?P<left>left out, .*))", text)
    # pytest.skip.Exception puts its own name before its text.
    return SKIPPED + ((match["lack"] or match["left"]) if match else text.removeprefix("Skipped: "))
