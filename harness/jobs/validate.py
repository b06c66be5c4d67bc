# SPDX-License-Identifier: MIT
"""``mte-harness validate``: the suite on the kernels named, and what reuse of tag storage costs."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.errors import OK, HarnessError, UsageError
from harness.core.paths import cache_root, is_checkout, require_utf8, resources
from harness.jobs.by_hand import print_commands
from harness.jobs.options import (
    append_option,
    board_options,
    dry_run_option,
    machine_option,
    qemu_option,
    refuse_without_board,
    shown_progress,
    source_options,
    workers_option,
)
from harness.jobs.run_suite import prepare, run_suite
from harness.kernel.board_address import is_board
from harness.kernel.build_options import PLAIN
from harness.measure.costs import measure_costs
from harness.report import json_file, terminal
from harness.suite.report_files import PAGE, REPORT, make_directory, write_all
from harness.suite.session import Session
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from harness.guest.board import BoardOptions
    from harness.kernel.build_options import BuildOptions

# The kernels of `validate` without an argument.
COMPARED = ("tag-storage", "stock-6.12@dram")


@click.command("validate")
@click.argument("kernels", nargs=-1, metavar="[KERNEL[@MACHINE]]...")
@machine_option
@append_option
@source_options
@qemu_option
@dry_run_option
@click.option("--report", type=click.Path(path_type=Path), help="Directory of the report.")
@click.option("-k", "expression", help="Only tests that match this pytest expression.")
@workers_option
@board_options
def validate_command(
    kernels: tuple[str, ...],
    machine: str | None,
    append: str,
    options: BuildOptions,
    qemu_binary: str | None,
    *,
    dry_run: bool,
    report: Path | None,
    expression: str | None,
    workers: int,
    allowed: BoardOptions,
) -> int:
    """Run the validation suite on each KERNEL and write the report.

    A KERNEL may be a board, a machine over SSH: ssh://root@board.

    Without a KERNEL: tag-storage (our series that reuses tag storage) and stock-6.12@dram, both
    with their tags in DRAM; the report then also has the gain and the costs of reuse.
    """
    if options != PLAIN and not kernels:
        raise UsageError(
            f"{options.words()[0]} without a KERNEL: what reuse costs is measured on two recipes "
            "as they are",
            "name a KERNEL",
        )
    refuse_without_board(allowed, kernels)
    require_utf8(*sys.argv, str(Path.cwd()), tempfile.gettempdir())
    wanted = kernels or COMPARED
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary, board_options=allowed)
        if dry_run:
            targets = [parse_target(kernel, machine, append, options) for kernel in wanted]
            return print_commands(session, targets)
        directory = make_directory(report or _new_report())
        prepare(session, wanted, machine, append, options)
    status = run_suite(
        wanted,
        machine,
        report=directory,
        expression=expression,
        workers=1 if any(map(is_board, wanted)) else workers,
        qemu_binary=qemu_binary,
        append=append,
        options=options,
        allowed=allowed,
    )
    if not kernels and (directory / REPORT).is_file():
        try:
            with shown_progress() as progress:
                figures = _add_costs(Session(cache_root(), progress, qemu_binary), directory)
        except HarnessError as error:
            if status == OK:
                raise
            # The verdict is there, and the command's exit status stays the verdict's.
            click.echo(f"mte-harness: the costs of reuse are missing: {error}", err=True)
            return status
        click.echo(f"\n{figures}")
    return status


def _new_report() -> Path:
    """Return a new directory below ``reports/`` of the checkout, or of the current directory."""
    root = resources() if is_checkout() else Path.cwd()
    return root / "reports" / time.strftime("%Y%m%d-%H%M%S")


def _add_costs(session: Session, directory: Path) -> str:
    """Measure the gain and the costs of reuse, and add them to the report in ``directory``.

    Return them as a table for the terminal.
    """
    session.progress.step("counting the instructions that reuse of tag storage costs")
    report = json_file.read(directory / REPORT)
    report = dataclasses.replace(report, figures=measure_costs(session))
    write_all(report, directory)
    return terminal.figures(report.figures, directory / PAGE, color=sys.stdout.isatty())
