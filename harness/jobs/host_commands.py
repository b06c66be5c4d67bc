# SPDX-License-Identifier: MIT
"""``mte-harness doctor``, ``build`` and ``clean``: the host, and what the cache holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console as RichConsole
from rich.table import Table

from harness.core import errors
from harness.core.amounts import size
from harness.core.errors import UsageError
from harness.core.paths import cache_root, resources
from harness.history.make_room import make_room
from harness.host import doctor
from harness.jobs.options import shown_progress, source_options
from harness.kernel import locate_kernel
from harness.suite.session import Session, clean

if TYPE_CHECKING:
    from harness.kernel.build_options import BuildOptions


@click.command("doctor")
def doctor_command() -> int:
    """Report what is missing on this host, and the command that cures it."""
    findings = doctor.diagnose()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        cure = f"cure: {finding.cure}" if finding.cure else ""
        table.add_row(finding.level.value, finding.subject, f"{finding.found}\n{cure}".strip())
    RichConsole(highlight=False, markup=False).print(table)
    missing = any(finding.level is doctor.Level.MISSING for finding in findings)
    return errors.SetupError.status if missing else errors.OK


@click.command("build")
@click.argument("kernel")
@source_options
def build_command(kernel: str, options: BuildOptions) -> int:
    """Build KERNEL and print where it is."""
    with shown_progress() as progress:
        source = locate_kernel(kernel, resources(), options)
        built = Session(cache_root(), progress).kernel(source)
    click.echo(f"{built.name} {built.release} {built.key}\n{built.image}")
    return errors.OK


@click.command("clean")
@click.argument("part", required=False)
@click.option(
    "--keep",
    metavar="SIZE",
    help="Remove only what nothing has used for a day, the oldest first, until the cache takes no "
    "more than SIZE, such as 40GiB.",
)
def clean_command(part: str | None, keep: str | None) -> int:
    """Remove the cache, or PART of it: templates, images, builds/KEY, …"""
    if keep and part:
        raise UsageError("--keep is for the whole cache", f"leave out {part}")
    try:
        limit = size(keep) if keep else 0
    except ValueError as error:
        raise UsageError(f"--keep: {error}") from error
    if keep:
        click.echo(make_room(limit, cache_root()), nl=False)
        return errors.OK
    for path in clean(cache_root(), part):
        click.echo(f"removed {path}")
    return errors.OK
