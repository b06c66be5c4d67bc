# SPDX-License-Identifier: MIT
"""The validation suite on some kernels: their guests prepared, then pytest in a child process.

The progress of builds and boots is shown on the terminal before pytest starts its workers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.errors import UsageError
from harness.core.paths import resources
from harness.kernel.build_options import PLAIN
from harness.report import json_file
from harness.suite.plugin import VALIDATION
from harness.suite.report_files import REPORT, make_directory, remove_old
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.kernel.build_options import BuildOptions
    from harness.report.model import Report
    from harness.suite.session import Session


LIST_CURE = "its names: pytest --qemu --collect-only -q"


def prepare(
    session: Session,
    kernels: Sequence[str],
    machine_name: str | None,
    append: str = "",
    options: BuildOptions = PLAIN,
) -> None:
    """Build and boot the ``kernels`` whose templates the cache does not have.

    All of them are located before the first is built: an error of usage comes at once.
    """
    for target in [parse_target(kernel, machine_name, append, options) for kernel in kernels]:
        session.prepare(target)


def run_suite(
    kernels: Sequence[str],
    machine_name: str | None,
    *,
    report: Path,
    expression: str | None,
    workers: int,
    qemu_binary: str | None,
    append: str = "",
    options: BuildOptions = PLAIN,
    quiet: bool = False,
) -> int:
    """Run the suite on ``kernels``, write the report, and return the worst verdict's exit status.

    ``expression`` is pytest's ``-k``, ``append`` more words for the kernels' command lines,
    ``options`` how their sources are built. ``quiet`` keeps pytest's output from the terminal.
    """
    directory = make_directory(report)
    root = resources()
    settings = root / "pyproject.toml"
    # -P: pytest is not to import modules of the user's directory. -c: nor to take its settings
    # from a project that the environment with the wheel lies in.
    command = [sys.executable, "-P", "-m", "pytest", "--rootdir", str(root)]
    command += ["-c", str(settings) if settings.is_file() else os.devnull]
    command += ["--qemu", "--report", str(directory), "-p", "no:cacheprovider", "-q", "--no-header"]
    if machine_name:
        command += ["--machine", machine_name]
    for kernel in kernels:
        command += ["--kernel", kernel]
    if append:
        command.append(f"--append={append}")  # it may begin with a dash
    command += options.words()
    if qemu_binary:
        command += ["--qemu-binary", qemu_binary]
    if expression:
        command += ["-k", expression]
    if workers > 1:
        command += ["-n", str(workers), "--dist", "worksteal"]
    command.append(str(VALIDATION))
    remove_old(directory)
    status = _wait_for(command, quiet=quiet)
    if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        worst = worst_status(json_file.read(directory / REPORT))
        if status == pytest.ExitCode.TESTS_FAILED and worst == errors.OK:
            return errors.INTERNAL  # a failure that pytest counted is missing from the report
        return worst
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError(f"no test of the suite has a name that fits -k {expression!r}", LIST_CURE)
    if status == pytest.ExitCode.USAGE_ERROR:
        raise UsageError("pytest refuses the command line, and says above why")
    if errors.is_host_trouble(status):  # pytest.exit() of the plugin, which has said why
        return status
    return errors.INTERRUPTED if status == pytest.ExitCode.INTERRUPTED else errors.INTERNAL


def own_environment() -> dict[str, str]:
    """Return the environment without what changes which tests pytest runs, or how Python does.

    PYTEST_ADDOPTS="-k one" would make a green report of one probe.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "PYTHON")) or name == "PYTHONUNBUFFERED"
    }


def _wait_for(command: list[str], *, quiet: bool) -> int:
    """Run pytest in a process group of its own; return its exit status.

    An interruption is passed on once, whether it came from the terminal or from kill(1): a
    second SIGINT would keep pytest from ending its guests.
    """
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", "--", *command],
        stdout=subprocess.DEVNULL if quiet else None,
        env=own_environment(),
        process_group=0,
    ) as child:
        try:
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise


def worst_status(report: Report) -> int:
    """Return the exit status of a report: that of its worst test.

    Of tests that are equally bad, the host's trouble (128 and more) counts before a probe that
    could not run.
    """
    if report.good:
        return errors.OK
    if not report.failures:
        return errors.INTERNAL
    worst = report.failures[0].status
    return max(test.result.exit_status for test in report.failures if test.status is worst)
