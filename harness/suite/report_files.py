# SPDX-License-Identifier: MIT
"""Opens and closes the report of a pytest run: JSON, HTML and JUnit in one directory."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError, UsageError
from harness.report import html, json_file, junit
from harness.report.model import Report
from harness.vm.spec import MACHINES

if TYPE_CHECKING:
    from harness.report.model import KernelRecord
    from harness.suite.collect import EntryCollector
    from harness.suite.session import Session

REPORT = "report.json"
PAGE = "report.html"
JUNIT = "junit.xml"


class ReportFiles:
    """The report's directory. It is made at once, so that a bad path is found before any test."""

    def __init__(self, directory: Path) -> None:
        self.directory = make_directory(directory)
        remove_old(self.directory)
        self._clock = time.monotonic()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")

    @property
    def page(self) -> Path:
        """Return the path of the HTML page."""
        return self.directory / PAGE

    def write(self, collected: EntryCollector, session: Session) -> Report:
        """Make the report of what was collected, write its files, and return it."""
        errors = list(collected.errors)
        tests, kernels = collected.tests(), collected.kernels()
        boards = [kernel for kernel in kernels if kernel.board]
        qemu = ""
        try:
            if not boards or len(boards) < len(kernels):
                qemu = session.qemu.banner
        except HarnessError as error:
            errors.append(str(error))
        report = Report(
            started=self._started,
            seconds=time.monotonic() - self._clock,
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            host=_host(),
            qemu=qemu,
            machine=_machines({name for test in tests for name in test.machine.split(", ")})
            | _boards(boards),
            kernels=kernels,
            tests=tests,
            errors=tuple(errors),
            left_out=collected.left_out,
        )
        write_all(report, self.directory)
        return report


def make_directory(path: Path) -> Path:
    """Make the directory of a report, if need be; return its absolute path. Raise UsageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"no report can be written to {path}: {error.strerror}", "name another directory"
        ) from error
    return path.resolve()


def remove_old(directory: Path) -> None:
    """Remove the report of an earlier run, which must not speak for a run that writes none."""
    for name in (REPORT, PAGE, JUNIT):
        (directory / name).unlink(missing_ok=True)


def write_all(report: Report, directory: Path) -> None:
    """Write the three files of ``report`` below ``directory``."""
    json_file.write(report, directory / REPORT)
    html.write(report, directory / PAGE)
    junit.write(report, directory / JUNIT)


def _host() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    try:
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        distribution = platform.platform()
    return {
        "system": distribution,
        "cpus": f"{os.cpu_count()} ({platform.machine()}, TCG: no hardware acceleration)",
        "memory": f"{memory} MiB",
        "python": platform.python_version(),
    }


def _boards(kernels: list[KernelRecord]) -> dict[str, str]:
    """Return the facts of each board; where there are several, with its name."""
    several = len(kernels) > 1
    return {
        f"{label} ({kernel.name})" if several else label: text
        for kernel in kernels
        for label, text in kernel.board.items()
    }


def _machines(names: set[str]) -> dict[str, str]:
    """Return each machine's description by its name, and what they all have."""
    specs = [MACHINES[name] for name in sorted(names) if name in MACHINES]
    facts = {spec.name: spec.description for spec in specs}
    for spec in specs[:1]:
        facts |= {
            "memory": f"{spec.memory_mib} MiB",
            "cpus": str(spec.cpus),
            "cpu": spec.cpu,
            "qemu machine": spec.qemu_machine,
        }
    return facts
