# SPDX-License-Identifier: MIT
"""``mte-harness bench``: the speed of the harness itself, and the costs of reusing tag storage."""

from __future__ import annotations

import os
import shutil

import click

from harness.core.paths import cache_root
from harness.core.progress import plain_progress
from harness.jobs.costs import measure_costs
from harness.jobs.speeds import build_rows, guest_rows
from harness.suite.session import Session


@click.command("bench")
@click.option("--builds/--no-builds", default=True, help="Also time kernel builds (15 minutes).")
@click.option("--reuse/--no-reuse", default=True, help="Also measure the costs of reuse.")
def bench_command(*, builds: bool, reuse: bool) -> None:
    """Measure the speed of the harness on this host, and the costs of reusing tag storage.

    Each figure is a median; compare only figures of one run, by their ratios.
    """
    session = Session(cache_root(), plain_progress())
    rows = guest_rows(session) + (build_rows() if builds else [])
    click.echo(f"{os.cpu_count()} CPUs, {shutil.disk_usage(cache_root()).free >> 30} GiB free, ")
    click.echo(f"{session.qemu}\n")
    for name, value in rows:
        click.echo(f"| {name} | {value} |")
    if reuse:
        click.echo("\n| guest instructions | stock | tag-storage | result | aim |")
        for row in measure_costs(session):
            click.echo(f"| {row.what} | {row.stock} | {row.reuse} | {row.result} | {row.reach} |")
