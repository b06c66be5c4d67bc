# SPDX-License-Identifier: MIT
"""``mte-harness validate``: everything made ready, then the suite under pytest."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.paths import repository_root
from harness.jobs.costs import costs
from harness.report import json_file, terminal
from harness.suite.plugin import VALIDATION
from harness.suite.report_files import PAGE, REPORT, write_all
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.guest.template import Template
    from harness.report.model import Report
    from harness.suite.session import Session


# What is put to the test where nothing is named.
COMPARED = ("tag-storage", "stock@dram")


@dataclass(frozen=True)
class Plan:
    """Kernels whose guests are saved and ready to be cloned."""

    arguments: tuple[str, ...]
    machine: str | None
    templates: tuple[Template, ...]


def prepare(session: Session, kernels: Sequence[str], machine: str | None) -> Plan:
    """Builds and boots what is missing, so that the tests find it. Errors of each step."""
    templates = tuple(session.prepare(parse_target(kernel, machine)) for kernel in kernels)
    return Plan(tuple(kernels), machine, templates)


def report_directory(chosen: Path | None) -> Path:
    """Where the report goes: as ``chosen``, or a new place below reports/."""
    return chosen or repository_root() / "reports" / time.strftime("%Y%m%d-%H%M%S")


def run(
    plan: Plan,
    *,
    report: Path,
    expression: str | None,
    workers: int,
    qemu_binary: str | None,
    quiet: bool = False,
) -> int:
    """Runs the suite; returns the exit status of the worst verdict.

    ``quiet`` keeps pytest's own words from the terminal: the report says it all.
    """
    directory = report.resolve()
    command = [sys.executable, "-m", "pytest", "--qemu", "--report", str(directory)]
    command += ["-p", "no:cacheprovider", "-q", "--no-header"]
    if plan.machine:
        command += ["--machine", plan.machine]
    for kernel in plan.arguments:
        command += ["--kernel", kernel]
    if qemu_binary:
        command += ["--qemu-binary", qemu_binary]
    if expression:
        command += ["-k", expression]
    if workers > 1:
        command += ["-n", str(workers), "--dist", "worksteal"]
    command.append(str(VALIDATION))
    status = _child(command, quiet=quiet)
    if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return worst_status(json_file.read(directory / REPORT))
    return errors.INTERRUPTED if status == pytest.ExitCode.INTERRUPTED else errors.INTERNAL


def _child(command: list[str], *, quiet: bool) -> int:
    """Runs pytest in a process group of its own, and waits for it in any case.

    An interruption is passed on once, whether it came from the terminal or from
    kill(1): a second one would keep pytest from ending its guests.
    """
    output = subprocess.DEVNULL if quiet else None
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", "--", *command],
        cwd=repository_root(),
        stdout=output,
        process_group=0,
    ) as child:
        try:
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise


def add_figures(session: Session, directory: Path) -> str:
    """Measures what reuse of tag storage gives and costs, and puts it into the report.

    Returns the same for a terminal.
    """
    session.progress.step("counting the instructions that reuse of tag storage costs")
    report = json_file.read(directory / REPORT)
    report = dataclasses.replace(report, figures=costs(session))
    write_all(report, directory)
    return terminal.figures(report.figures, directory / PAGE, color=sys.stdout.isatty())


def worst_status(report: Report) -> int:
    """Return the exit status of a whole run: that of its worst test."""
    if report.good:
        return errors.OK
    if report.failures:
        return report.failures[0].status.exit_status
    return errors.INTERNAL
