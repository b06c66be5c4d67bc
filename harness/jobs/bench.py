# SPDX-License-Identifier: MIT
"""``mte-harness bench``: the speed of the harness itself, and the costs of reusing tag storage."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from harness.core.paths import cache_root, checkout, resources
from harness.core.progress import plain_progress
from harness.jobs.record_commands import keep
from harness.kernel import locate_kernel
from harness.measure import measuring
from harness.measure.costs import measure_costs
from harness.measure.speeds import build_samples, guest_samples
from harness.suite.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from harness.measure.records import Record, Value
    from harness.measure.speeds import Samples


@click.command("bench")
@click.option("--builds/--no-builds", default=True, help="Also time kernel builds (15 minutes).")
@click.option("--reuse/--no-reuse", default=True, help="Also measure the costs of reuse.")
def bench_command(*, builds: bool, reuse: bool) -> None:
    """Measure the speed of the harness on this host, and the costs of reusing tag storage.

    Each figure is a median; compare only figures of one run, by their ratios. Each part leaves a
    record in docs/records/.
    """
    root = checkout("mte-harness bench")
    session = Session(cache_root(), plain_progress())
    start = measuring.begin(root)
    for machine_name, samples in guest_samples(session).items():
        _report("clone", machine_name, start, root, session, samples, machine_name)
    if builds:
        start = measuring.begin(root)
        _report("kernel-build", "stock", start, root, session, build_samples())
    if reuse:
        start = measuring.begin(root)
        figures = measure_costs(session)
        click.echo("\n| guest instructions | stock | tag-storage | result | aim |")
        for row in figures:
            click.echo(f"| {row.what} | {row.stock} | {row.reuse} | {row.result} | {row.reach} |")
        values = {row.what: _ratio(row.result) for row in figures if row.result}
        keys = {name: _key(session, name) for name in ("stock-6.12", "tag-storage")}
        keep(_record("costs", "tag-storage", start, root, session, values, keys), root)


def _report(
    kind: str,
    subject: str,
    start: measuring.Start,
    root: Path,
    session: Session,
    samples: Samples,
    machine_name: str = "",
) -> None:
    """Print the medians of one subject, and keep its record."""
    values = {name: measuring.value_of(*found) for name, found in samples.items()}
    for name, value in values.items():
        click.echo(f"| {subject}: {name} | {value.value:.2f} {value.unit} |")
    keys = {"stock": _key(session, "stock")}
    keep(_record(kind, subject, start, root, session, values, keys, machine_name), root)


def _record(
    kind: str,
    subject: str,
    start: measuring.Start,
    root: Path,
    session: Session,
    values: dict[str, Value],
    kernels: dict[str, str],
    machine_name: str = "",
) -> Record:
    return measuring.new_record(
        kind,
        subject,
        start=start,
        root=root,
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
        kernels=kernels,
        machine=machine_name,
        qemu=str(session.qemu),
        values=values,
    )


def _key(session: Session, kernel: str) -> str:
    return session.kernel(locate_kernel(kernel, resources())).key


def _ratio(text: str) -> Value:
    """Return a result of costs.compare() as a value: a ratio to stock, or percent."""
    number, _, unit = text.partition(" ")
    return measuring.value_of([float(number)], unit)
