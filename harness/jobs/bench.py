# SPDX-License-Identifier: MIT
"""Measures the harness itself: medians and ratios within one run (``scripts/bench``)."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.deadline import Deadline
from harness.core.paths import cache_root, repository_root
from harness.core.progress import plain_progress
from harness.guest.ssh import SshConnection
from harness.guest.template import Template, guest_files, wait_ready
from harness.jobs.costs import costs
from harness.jobs.leave import leave_with
from harness.jobs.pressure import hold_pressure
from harness.kernel import Kernel, resolve
from harness.suite.session import Session
from harness.suite.target import Target
from harness.verdict.audit import audit
from harness.vm.geometry import PAGE
from harness.vm.qemu_args import ColdBoot, SavedMachine
from harness.vm.run_disk import RunKeys
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLONES = 15
BOOTS = 5
UNPACKED = "linux-source-6.12"


def clone_times(session: Session, template: Template) -> tuple[float, float]:
    """Seconds from nothing to a running clone, and to its first command answered."""
    running, answered = [], []
    for _ in range(CLONES):
        started = time.monotonic()
        with session.guest(template) as guest:
            running.append(time.monotonic() - started)
            guest.exec("true")
            answered.append(time.monotonic() - started)
    return statistics.median(running), statistics.median(answered)


def cold_boot_time(template: Template) -> float:
    """Seconds from power-on to the first command answered, without a template."""
    times = []
    keys = RunKeys.generate()
    for _ in range(BOOTS):
        with tempfile.TemporaryDirectory(dir=template.directory.parent) as scratch:
            started = time.monotonic()
            files = guest_files(template.kernel, template.image, keys)
            start = ColdBoot(SavedMachine(Path(scratch)))
            limits = template.limits
            with template.machine.launch(start, files) as process:
                wait_ready(process, template.kernel, limits)
                connection = SshConnection(
                    process.ssh_port(), keys, Deadline.after(limits.ssh_connect)
                )
                connection.exec("true", Deadline.after(limits.exec))
                times.append(time.monotonic() - started)
                connection.close()
    return statistics.median(times)


def audit_time(session: Session, template: Template) -> tuple[float, float, int]:
    """Seconds for an audit with known tags, of them paused, and how many pages are tagged."""
    with session.guest(template) as guest:
        expected = hold_pressure(guest, session.programs, seed=1, seconds=2).expected()
        audit(guest, expected)  # learns the page flags, once for a kernel
        started = time.monotonic()
        found = audit(guest, expected)
        return time.monotonic() - started, found.seconds, found.tagged


@contextmanager
def _scratch_cache() -> Iterator[Path]:
    """A cache of its own beside the real one, so that nothing is reused."""
    cache_root().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mte-bench-", dir=cache_root().parent) as name:
        yield Path(name)


def _timed(action: Callable[[], Kernel]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def build_times() -> tuple[float, float, float]:
    """Seconds for ``stock`` from nothing; a source directory unchanged; one mm/*.c changed."""
    progress = plain_progress()
    with _scratch_cache() as cache:

        def build(argument: str) -> Kernel:
            return resolve(argument, root=repository_root(), cache=cache, progress=progress)

        nothing = _timed(lambda: build("stock"))
        tree = cache / "bench-tree"
        tree.mkdir()
        progress.step("unpacking a source directory")
        subprocess.run(["tar", "xf", f"/usr/src/{UNPACKED}.tar.xz", "-C", str(tree)], check=True)
        source = str(tree / UNPACKED)
        build(source)
        unchanged = _timed(lambda: build(source))
        edited = tree / UNPACKED / "mm" / "mprotect.c"
        edited.write_text(edited.read_text() + "\n/* bench */\nint mte_bench_edit;\n")
        one_file = _timed(lambda: build(source))
    return nothing, unchanged, one_file


@click.command()
@click.option("--builds/--no-builds", default=True, help="Also time kernel builds (15 minutes).")
@click.option("--reuse/--no-reuse", default=True, help="Also count what reuse of storage costs.")
def main(*, builds: bool, reuse: bool) -> None:
    """Prints a table of the harness's own speeds on this machine."""
    session = Session(cache_root(), plain_progress())
    template = session.prepare(Target("stock", find_machine("emulator")))
    running, answered = clone_times(session, template)
    cold = cold_boot_time(template)
    rows = [
        ("clone running", f"{running:.2f} s"),
        ("clone to first exec answered", f"{answered:.2f} s"),
        ("cold boot to first exec answered", f"{cold:.2f} s"),
        ("clone / cold boot, to first exec", f"{answered / cold:.2f}"),
    ]
    dram = session.prepare(Target("stock", find_machine("dram")))
    dram_running, _ = clone_times(session, dram)
    audited, paused, tagged = audit_time(session, dram)
    rows += [
        ("clone running on dram", f"{dram_running:.2f} s"),
        (f"audit, {tagged * PAGE >> 20} MiB tagged", f"{audited:.2f} s, {paused:.2f} s paused"),
    ]
    if builds:
        nothing, unchanged, one_file = build_times()
        rows += [
            ("kernel build from nothing", f"{nothing:.0f} s"),
            ("source directory, nothing changed", f"{unchanged:.1f} s"),
            ("source directory, one mm/*.c changed", f"{one_file:.0f} s"),
        ]
    click.echo(f"{os.cpu_count()} CPUs, {shutil.disk_usage(cache_root()).free >> 30} GiB free, ")
    click.echo(f"{session.qemu}\n")
    for name, value in rows:
        click.echo(f"| {name} | {value} |")
    if reuse:
        click.echo("\n| guest instructions | stock | tag-storage | result | aim |")
        for row in costs(session):
            click.echo(f"| {row.what} | {row.stock} | {row.reuse} | {row.result} | {row.reach} |")


if __name__ == "__main__":
    leave_with(lambda: main.main(standalone_mode=False))
