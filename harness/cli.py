# SPDX-License-Identifier: MIT
"""The ``mte-harness`` command."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console as RichConsole
from rich.table import Table

from harness.core import errors
from harness.core.paths import cache_root, repository_root
from harness.core.progress import Progress, plain_progress
from harness.core.terminal_progress import TerminalProgress
from harness.guest import shell as interactive
from harness.guest.attach import Attached
from harness.guest.frames import settled
from harness.guest.page_view import describe_page
from harness.host import doctor
from harness.jobs import known_bad as knownbad
from harness.jobs import validate
from harness.jobs.leave import leave_with
from harness.kernel import locate_kernel
from harness.suite.gather import run_source
from harness.suite.report_files import REPORT
from harness.suite.session import Session
from harness.suite.session import clean as clean_cache
from harness.suite.target import parse_target
from harness.verdict.judge import Status
from harness.vm.geometry import PAGE
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUSES = """\b
Exit status (stable; fit for `git bisect run`):
    0  clean
    1  the program, or a probe of the suite, failed
    3  the kernel printed a splat or became tainted
    4  the guest was lost: panic, hang, silence
    5  the kernel did not come up
  125  the kernel does not build: cannot be tried
  130  interrupted
  160 and up: this host, or the words of the command, are at fault (README.md)
"""

kernel_argument = click.argument("kernel", metavar="KERNEL[@MACHINE]")
machine_option = click.option(
    "--machine",
    type=click.Choice(machine_names()),
    help="Kind of machine, unless KERNEL@MACHINE says it (default: the recipe's, or emulator).",
)
qemu_option = click.option(
    "--qemu-binary", metavar="PATH", help="A qemu-system-aarch64 of your own."
)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield plain_progress()
        return
    with TerminalProgress(sys.stderr) as progress:
        yield progress


@click.group(epilog=STATUSES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mte-harness")
def cli() -> None:
    """Does arm64 memory tagging (MTE) still work on this kernel?

    KERNEL is a recipe of kernel-configs/ (stock, debug, known-bad/…), a kernel
    source directory (taken as it is, never written to), or an arm64 Image.

    Shell completion: eval "$(_MTE_HARNESS_COMPLETE=bash_source mte-harness)"
    """


@cli.command("doctor")
def doctor_command() -> int:
    """Says what is missing on this host, and the command that cures it."""
    findings = doctor.diagnose()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        cure = f"cure: {finding.cure}" if finding.cure else ""
        table.add_row(finding.level.value, finding.subject, f"{finding.found}\n{cure}".strip())
    RichConsole(highlight=False, markup=False).print(table)
    missing = any(finding.level is doctor.Level.MISSING for finding in findings)
    return errors.SetupError.status if missing else errors.OK


@cli.command("build")
@kernel_argument
def build_command(kernel: str) -> int:
    """Builds KERNEL and prints where it is."""
    with _progress() as progress:
        built = Session(cache_root(), progress).kernel(locate_kernel(kernel, repository_root()))
    click.echo(f"{built.name} {built.release} {built.key}\n{built.image}")
    return errors.OK


@cli.command("shell")
@kernel_argument
@machine_option
@qemu_option
def shell_command(kernel: str, machine: str | None, qemu_binary: str | None) -> int:
    """Opens an interactive root shell in a fresh guest of KERNEL."""
    with _progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        template = session.prepare(parse_target(kernel, machine))
    with session.guest(template) as guest, guest.reachable(cache_root() / "guests") as handle:
        return interactive.shell(guest, handle)


@cli.command("run", context_settings={"ignore_unknown_options": True})
@kernel_argument
@click.argument("program", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@machine_option
@qemu_option
@click.option(
    "--timeout", type=float, default=600.0, show_default=True, help="Seconds for PROGRAM."
)
def run_command(
    kernel: str,
    program: Path,
    arguments: tuple[str, ...],
    machine: str | None,
    qemu_binary: str | None,
    timeout: float,
) -> int:
    """Runs PROGRAM (.c, .py or an arm64 binary) in a fresh guest of KERNEL.

    A .c file is cross-compiled with guest/include on its path. The output is
    streamed; the verdict on the kernel follows on standard error.
    """
    with _progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        template = session.prepare(parse_target(kernel, machine))

    def stream(channel: str, data: bytes) -> None:
        out = sys.stdout.buffer if channel == "stdout" else sys.stderr.buffer
        out.write(data)
        out.flush()

    with session.guest(template) as guest:
        done = run_source(
            guest,
            program,
            arguments,
            session.programs,
            seconds=timeout,
            speaks_ktap=False,
            stream=stream,
        )
    if done.verdict.status is not Status.PASS:
        click.echo(f"mte-harness: {template.kernel.name}: {done.verdict.text()}", err=True)
        if done.verdict.status is not Status.LOST:
            click.echo(f"console since the clone:\n{done.console}", err=True)
    return done.verdict.status.exit_status


@cli.command("validate")
@click.argument("kernels", nargs=-1, metavar="[KERNEL[@MACHINE]]...")
@machine_option
@qemu_option
@click.option("--report", type=click.Path(path_type=Path), help="Where to write the report.")
@click.option("-k", "expression", help="Only tests that match this pytest expression.")
@click.option(
    "-n",
    "workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Guests at once.",
)
def validate_command(
    kernels: tuple[str, ...],
    machine: str | None,
    qemu_binary: str | None,
    report: Path | None,
    expression: str | None,
    workers: int,
) -> int:
    """Runs the validation suite on each KERNEL and writes the report.

    Without a KERNEL: our series that reuses tag storage, compared with stock, both with tags
    in DRAM; the report then also says what reuse gives, and what it costs.
    """
    directory = validate.report_directory(report)
    with _progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        plan = validate.prepare(session, kernels or validate.COMPARED, machine)
    status = validate.run(
        plan, report=directory, expression=expression, workers=workers, qemu_binary=qemu_binary
    )
    if not kernels and (directory / REPORT).is_file():
        with _progress() as progress:
            session = Session(cache_root(), progress, qemu_binary)
            figures = validate.add_figures(session, directory)
        click.echo(f"\n{figures}")
    return status


@cli.command("known-bad")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@machine_option
@click.option("--rotate", type=click.IntRange(1), help="Only that many, others each day.")
@click.option("-n", "workers", type=click.IntRange(1, 64), default=2, show_default=True)
def known_bad_command(
    names: tuple[str, ...], machine: str | None, rotate: int | None, workers: int
) -> int:
    """Proves that the suite can fail: each known-bad kernel fails exactly its named probes."""
    rows = []
    for recipe in knownbad.recipes(names, rotate):
        with _progress() as progress:
            session = Session(cache_root(), progress)
            row = knownbad.prove(session, recipe, machine, workers)
        rows.append(row)
        word = "proved" if row.proved else "NOT PROVED"
        click.echo(
            f"{word:10}  {recipe.name}  ({len(row.failed)} of {row.ran} probes failed, "
            f"{row.seconds:.0f} s)  {row.difference}".rstrip()
        )
    proved = sum(row.proved for row in rows)
    click.echo(f"{proved} of {len(rows)} known-bad kernels proved")
    return errors.OK if proved == len(rows) else errors.PROGRAM_FAILED


@cli.command("tags")
@click.argument("guest", type=int)
@click.argument("pid", type=int)
@click.argument("address", type=lambda text: int(text, 16))
def tags_command(guest: int, pid: int, address: int) -> int:
    """Shows tags and data of a page in a running guest, as DRAM has them.

    GUEST is the number that `mte-harness shell` printed (on a dram machine); PID is a
    process in it, and ADDRESS a pointer of that process, in hexadecimal.
    """
    attached = Attached(cache_root() / "guests", guest)
    try:
        start = address & (1 << 56) - 1
        _, lines = settled(
            attached.exec,
            pid,
            start - start % PAGE,
            1,
            lambda frames: list(describe_page(attached.dram, frames[0], pid, address)),
        )
        click.echo("\n".join(lines))
    finally:
        attached.close()
    return errors.OK


@cli.command("clean")
@click.argument("what", required=False)
def clean_command(what: str | None) -> int:
    """Removes the cache, or WHAT of it: templates, images, builds/KEY, …"""
    for path in clean_cache(cache_root(), what):
        click.echo(f"removed {path}")
    return errors.OK


def main() -> None:
    """The entry point."""
    leave_with(lambda: cli.main(standalone_mode=False))
