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

import pytest
from _pytest.junitxml import xml_key

from harness.core.errors import HarnessError
from harness.report import html, json_file, junit, terminal
from harness.report.model import Run
from harness.suite import collect as recording
from harness.vm.qemu import find_qemu
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    from harness.vm.spec import MachineSpec

STARTED = pytest.StashKey[tuple[float, str]]()
RECORD = pytest.StashKey[Run]()
ITEMS = "items"
REPORT = "report.json"
PAGE = "report.html"
JUNIT = "junit.xml"


def open_report(config: pytest.Config) -> None:
    """Makes the directory, before any worker starts. ``--report`` becomes absolute."""
    directory = Path(config.getoption("--report")).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    for stale in directory.glob("*.jsonl"):
        stale.unlink()
    config.option.report = directory
    if not config.option.xmlpath:
        config.option.xmlpath = str(directory / JUNIT)
    config.stash[STARTED] = (
        time.monotonic(),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


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


def _machine(specs: list[MachineSpec]) -> dict[str, str]:
    """Each machine's description by its name, and what they all have."""
    facts = {spec.name: spec.description for spec in specs}
    for spec in specs[:1]:
        facts |= {
            "memory": f"{spec.memory_mib} MiB",
            "cpus": str(spec.cpus),
            "cpu": spec.cpu,
            "qemu machine": spec.qemu_machine,
        }
    return facts


def close_report(config: pytest.Config) -> None:
    """Joins what the workers handed in, and writes the files."""
    directory = config.getoption("--report")
    if directory is None:
        return
    clock, started = config.stash[STARTED]
    errors: tuple[str, ...] = ()
    try:
        qemu = find_qemu(config.getoption("--qemu-binary")).banner
    except HarnessError as error:
        qemu, errors = "", (str(error),)
    items = json_file.merge_items(directory)
    run = Run(
        started=started,
        seconds=time.monotonic() - clock,
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        host=_host(),
        qemu=qemu,
        machine=_machine(
            [find_machine(name) for name in sorted({i.machine for i in items}) if name]
        ),
        kernels=recording.kernels(directory, items),
        items=items,
        errors=errors,
    )
    json_file.write(run, directory / REPORT)
    html.write(run, directory / PAGE)
    for used in directory.glob("*.jsonl"):
        used.unlink()
    config.stash[RECORD] = run
    junit_file = config.stash.get(xml_key, None)
    if junit_file is not None:
        for name, value in junit.suite_properties(run):
            junit_file.add_global_property(name, value)


def summary(reporter: pytest.TerminalReporter) -> None:
    """The short table, and where the page is."""
    run = reporter.config.stash.get(RECORD, None)
    if run is not None:
        page = Path(reporter.config.getoption("--report")) / PAGE
        reporter.write_line(terminal.render(run, page, color=reporter.hasmarkup))
