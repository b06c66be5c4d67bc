# SPDX-License-Identifier: MIT
"""``mte-harness run``, ``shell`` and ``tags``: work with one guest by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.core import errors
from harness.core.paths import cache_root
from harness.guest import shell as interactive
from harness.guest.attach import Attached
from harness.guest.frames import settled
from harness.guest.page_view import describe_page
from harness.jobs.options import kernel_argument, machine_option, qemu_option, shown_progress
from harness.suite.gather import run_program
from harness.suite.program import file_program
from harness.suite.session import Session
from harness.suite.target import parse_target
from harness.verdict.result import Status
from harness.vm.geometry import PAGE

ADDRESS_BITS = (1 << 56) - 1  # a pointer without its tag


@click.command("run", context_settings={"ignore_unknown_options": True})
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
    """Run PROGRAM (.c, .py or an arm64 binary) in a fresh guest of KERNEL.

    A .c file is cross-compiled with guest/include on its path, and linked with the probe library
    of guest/lib. The output is streamed; the verdict on the kernel follows on standard error.
    Output with a line "KTAP version 1" or "TAP version 13" is judged by its results: a failed or
    skipped one is a failure, whatever the exit status.
    """
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        template = session.prepare(parse_target(kernel, machine))
        prepared = file_program(program, session.programs, arguments, seconds=timeout)

    def stream(channel: str, data: bytes) -> None:
        out = sys.stdout.buffer if channel == "stdout" else sys.stderr.buffer
        out.write(data)
        out.flush()

    with session.guest(template) as guest:
        result = run_program(guest, prepared, stream=stream)
    if result.status is not Status.PASS:
        click.echo(f"mte-harness: {template.kernel.name}: {result.text()}", err=True)
        if result.status is not Status.LOST:
            click.echo(f"console since the clone:\n{result.console}", err=True)
    return result.status.exit_status


@click.command("shell")
@kernel_argument
@machine_option
@qemu_option
def shell_command(kernel: str, machine: str | None, qemu_binary: str | None) -> int:
    """Open an interactive root shell in a fresh guest of KERNEL."""
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        template = session.prepare(parse_target(kernel, machine))
    with session.guest(template) as guest, guest.reachable(cache_root() / "guests") as handle:
        return interactive.shell(guest, handle)


@click.command("tags")
@click.argument("guest", type=int)
@click.argument("pid", type=int)
@click.argument("address", type=lambda text: int(text, 16))
def tags_command(guest: int, pid: int, address: int) -> int:
    """Show tags and data of a page in a running guest, read from its DRAM.

    GUEST is the number that `mte-harness shell` printed (on a dram machine); PID is a process
    in it, and ADDRESS a pointer of that process, in hexadecimal.
    """
    attached = Attached(cache_root() / "guests", guest)
    try:
        start = address & ADDRESS_BITS
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
