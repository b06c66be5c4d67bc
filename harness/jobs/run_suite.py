# SPDX-License-Identifier: MIT
"""The validation suite on some kernels: their guests prepared, then pytest in a child process.

The progress of builds and boots is shown on the terminal before pytest starts its workers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.errors import HarnessError, UsageError
from harness.core.paths import resources
from harness.guest.board import NOTHING_ALLOWED, Board
from harness.kernel.build_options import PLAIN
from harness.report import json_file
from harness.shards.merge import is_trouble
from harness.suite import listing
from harness.suite.plugin import VALIDATION
from harness.suite.report_files import REPORT, make_directory, remove_old
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.guest.board import BoardOptions
    from harness.kernel.build_options import BuildOptions
    from harness.report.model import Report
    from harness.suite.listing import Listing
    from harness.suite.session import Session


LIST_CURE = "its names: pytest --qemu --collect-only -q"


def prepare(
    session: Session,
    kernels: Sequence[str],
    machine_name: str | None,
    append: str = "",
    options: BuildOptions = PLAIN,
) -> None:
    """Build and boot the ``kernels`` whose templates the cache does not have; reach the boards.

    All of them are located before the first is built: an error of usage comes at once. A board
    that cannot be visited fails here, and not once for each test.
    """
    for target in [parse_target(kernel, machine_name, append, options) for kernel in kernels]:
        testbed = session.testbed(target)
        if isinstance(testbed, Board):
            session.system(testbed).close()


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
    allowed: BoardOptions = NOTHING_ALLOWED,
    quiet: bool = False,
    tests: Sequence[str] = (str(VALIDATION),),
    bundle: Path | None = None,
) -> int:
    """Run the suite on ``kernels``, write the report, and return the worst verdict's exit status.

    ``expression`` is pytest's ``-k``, ``append`` more words for the kernels' command lines,
    ``options`` how their sources are built, ``allowed`` what may be done to a board. ``quiet``
    keeps pytest's output from the terminal. ``tests`` are paths or node ids in place of the whole
    suite, in the order in which they are to run. ``bundle`` is a directory with the kernels, which
    then need no source.
    """
    directory = make_directory(report)
    command = [*_pytest(), "--report", str(directory), *_kernel_words(kernels, machine_name)]
    if append:
        command.append(f"--append={append}")  # it may begin with a dash
    command += [*options.words(), *allowed.words()]
    if qemu_binary:
        command += ["--qemu-binary", qemu_binary]
    if bundle:
        command += ["--bundle", str(bundle)]
    if expression:
        command += ["-k", expression]
    if workers > 1:
        command += ["-n", str(workers), "--dist", "worksteal"]
    command += tests
    remove_old(directory)
    status = _wait_for(command, quiet=quiet)
    if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        worst = worst_status(json_file.read(directory / REPORT))
        if status == pytest.ExitCode.TESTS_FAILED and worst == errors.OK:
            return errors.INTERNAL  # a failure that pytest counted is missing from the report
        return worst
    return _status_without_report(status, expression)


def list_suite(kernels: Sequence[str], machine_name: str | None, expression: str | None) -> Listing:
    """Return the tests of the suite on ``kernels``; none is run, and no kernel is built."""
    with tempfile.TemporaryDirectory(prefix="mte-listing-") as directory:
        path = Path(directory) / "listing.json"
        command = [*_pytest(), "--collect-only", "-p", listing.__name__, "--listing", str(path)]
        command += _kernel_words(kernels, machine_name)
        if expression:
            command += ["-k", expression]
        status = _wait_for([*command, str(VALIDATION)], quiet=True)
        if status == pytest.ExitCode.OK:
            return listing.read_listing(path)
    status = _status_without_report(status, expression)
    raise HarnessError(f"pytest cannot list the suite, and ends with {status}", LIST_CURE)


def _pytest() -> list[str]:
    """Return the words with which pytest runs tests of the suite, whatever the directory is."""
    root = resources()
    settings = root / "pyproject.toml"
    # -P: pytest is not to import modules of the user's directory. -c: nor to take its settings
    # from a project that the environment with the wheel lies in.
    command = [sys.executable, "-P", "-m", "pytest", "--rootdir", str(root)]
    command += ["-c", str(settings) if settings.is_file() else os.devnull]
    return [*command, "--qemu", "-p", "no:cacheprovider", "-q", "--no-header"]


def _kernel_words(kernels: Sequence[str], machine_name: str | None) -> list[str]:
    words = ["--machine", machine_name] if machine_name else []
    return [*words, *(word for kernel in kernels for word in ("--kernel", kernel))]


def _status_without_report(status: int, expression: str | None) -> int:
    """Return the exit status of a pytest that ran no test. Raise UsageError."""
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError(f"no test of the suite has a name that fits -k {expression!r}", LIST_CURE)
    if status == pytest.ExitCode.USAGE_ERROR:
        raise UsageError("pytest refuses the command line, and says above why")
    if errors.is_host_trouble(status):  # pytest.exit() of the plugin, which has said why
        return status
    return errors.INTERRUPTED if status == pytest.ExitCode.INTERRUPTED else errors.INTERNAL


def collect_tests(tests: Sequence[str]) -> tuple[str, ...]:
    """Return the node ids of the tests in some paths. Raise HarnessError if pytest finds none."""
    done = subprocess.run(
        [*_pytest(), "--collect-only", *tests],
        capture_output=True,
        text=True,
        errors="replace",
        env=own_environment(),
        check=False,
    )
    found = tuple(line for line in done.stdout.splitlines() if "::" in line)
    if done.returncode or not found:
        raise HarnessError(
            f"pytest cannot collect {' '.join(tests)}: {_why(done.stdout, done.stderr)}",
            details=done.stdout[-2000:],
        )
    return found


def _why(stdout: str, stderr: str) -> str:
    """Return the one line of pytest's, or of a dying Python's, that says what went wrong.

    pytest begins the lines of an exception with ``E``. A Python that cannot import has only its
    traceback, whose last line is the exception.
    """
    raised = [line[1:].strip() for line in stdout.splitlines() if line.startswith("E  ")]
    lines = raised or stderr.strip().splitlines() or stdout.strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


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
    could not run. Where only holes speak against a pass, it is the status of the host's trouble.
    """
    if report.good:
        return errors.OK
    if report.holes and not report.failures:
        troubles = [shard.status for shard in report.shards if is_trouble(shard.status)]
        return max(troubles, default=errors.HarnessError.status)
    if not report.failures:
        return errors.INTERNAL
    worst = report.failures[0].status
    return max(test.result.exit_status for test in report.failures if test.status is worst)
