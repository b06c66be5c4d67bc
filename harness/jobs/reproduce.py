# SPDX-License-Identifier: MIT
"""``mte-harness reproduce``: how often a program of a bug report shows the bug on a kernel."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bugs.kernel_trial import KernelTrials
from harness.bugs.report_qemu import reported_machine
from harness.bugs.reproduction import Keeper, reproduce
from harness.bugs.search import CannotTryError
from harness.bugs.signs import is_sign
from harness.core.errors import CANNOT_BUILD, OK, PROGRAM_FAILED, UNTESTED
from harness.core.paths import cache_root
from harness.jobs.options import kernel_argument, shown_progress
from harness.jobs.output_stream import say
from harness.jobs.report_options import Place, report_options
from harness.suite.session import Session
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from harness.bugs.reproducer import Reproducer


@click.command("reproduce", context_settings={"ignore_unknown_options": True})
@kernel_argument
@report_options
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Runs, each in a fresh guest.",
)
@click.option(
    "--qemu-line",
    default="",
    metavar="LINE",
    help="The report's QEMU command line: its CPUs, memory and kernel parameters are used.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where console and output of each run go (default: reports/reproduce-DATE-TIME).",
)
def reproduce_command(
    kernel: str,
    reproducer: Reproducer,
    place: Place,
    sign: str,
    runs: int,
    qemu_line: str,
    keep: Path | None,
) -> int:
    """Run PROGRAM some times on KERNEL, each in a fresh guest, and say how often it showed a bug.

    PROGRAM is what a report has: C (also the C of syzkaller), a script or an arm64 binary. The
    exit status is 1 if it showed anything, 0 if not, and 178 if no run tells. Examples are in
    docs/reproduce.md.
    """
    with shown_progress() as progress:
        session = Session(cache_root(), progress, place.qemu_binary)
        reproducer.check(session.programs, PAGE)
        target = place.target(kernel)
        if qemu_line:
            reported = reported_machine(qemu_line, target.spec)
            words = f"{target.append} {reported.append}".strip()
            target = dataclasses.replace(target, spec=reported.spec, append=words)
            if reported.left_out:
                progress.step(f"of the QEMU line is left out: {', '.join(reported.left_out)}")
        keeper = Keeper(keep or Path(f"reports/reproduce-{datetime.now(UTC):%Y%m%d-%H%M%S}"))
        trials = KernelTrials(session, reproducer, lambda _: target, keeper)
        try:
            found = reproduce(trials, kernel, runs, sign, progress.step)
        except CannotTryError as error:
            say(f"mte-harness: {kernel} {error}")
            return CANNOT_BUILD
        keeper.summary(
            {
                "command": shlex.join(["mte-harness", *sys.argv[1:]]),
                "kernel": kernel,
                "release": found.tally.release,
                "machine": target.spec.description,
                "append": target.append,
                "qemu": str(session.qemu),
                "sign": found.sign,
                "hits": found.tally.hits,
                "runs": found.tally.runs,
                "signs": found.tally.signs,
                "others": found.tally.others,
            }
        )
    click.echo("\n".join(found.lines()))
    click.echo(f"console and output of each run: {keeper.directory}")
    if any(map(is_sign, found.tally.signs)):
        return PROGRAM_FAILED
    return OK if found.tally.clean else UNTESTED
