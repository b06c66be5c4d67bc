# SPDX-License-Identifier: MIT
"""``mte-harness run``, ``shell`` and ``tags``: work with one guest by hand."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core import errors
from harness.core.errors import UsageError
from harness.core.limits import UNLIMITED
from harness.core.paths import cache_root
from harness.guest import shell as interactive
from harness.guest.attach import Attached
from harness.guest.debugger import describe, gdb_socket, wait_attached
from harness.guest.frames import settled
from harness.guest.page_view import describe_page
from harness.guest.template import Template
from harness.jobs.by_hand import print_commands
from harness.jobs.options import (
    append_option,
    board_options,
    dry_run_option,
    gdb_option,
    kernel_argument,
    machine_option,
    qemu_option,
    refuse_without_board,
    shown_progress,
    source_options,
)
from harness.jobs.output_stream import OutputStream, say
from harness.suite.gather import gather
from harness.suite.program import Program, file_program
from harness.suite.session import Session
from harness.suite.target import parse_target
from harness.suite.tries import gather_until_tested
from harness.verdict.judge import judge
from harness.verdict.result import Status
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from harness.guest.board import BoardOptions
    from harness.guest.testbed import Testbed
    from harness.kernel.build_options import BuildOptions
    from harness.verdict.evidence import Evidence

SECONDS = click.FloatRange(min=0, min_open=True, max=7 * 86400)
ADDRESS_BITS = (1 << 56) - 1  # a pointer without its tag


def _refuse_both(*, dry_run: bool, gdb: bool) -> None:
    if dry_run and gdb:
        raise UsageError("--dry-run starts no guest for --gdb", "add -s to the command it prints")


@click.command("run", context_settings={"ignore_unknown_options": True})
@kernel_argument
@click.argument("program", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@machine_option
@append_option
@source_options
@qemu_option
@dry_run_option
@gdb_option
@board_options
@click.option(
    "--timeout", type=SECONDS, default=600.0, show_default=True, help="Seconds for PROGRAM."
)
@click.option(
    "--survives",
    type=SECONDS,
    metavar="SECONDS",
    help="PROGRAM never ends on a good kernel: end it after SECONDS, and count that as a pass.",
)
def run_command(
    kernel: str,
    program: Path,
    arguments: tuple[str, ...],
    machine: str | None,
    append: str,
    options: BuildOptions,
    qemu_binary: str | None,
    *,
    dry_run: bool,
    gdb: bool,
    timeout: float,
    survives: float | None,
    allowed: BoardOptions,
) -> int:
    """Run PROGRAM in a fresh guest of KERNEL, or on a board: ssh://root@board.

    PROGRAM is C, a Python or shell script, or an arm64 binary. C is cross-compiled with
    guest/include on its path, and linked with the probe library of guest/lib. The output is
    streamed; the verdict on the kernel follows on standard error.
    Output with a line "KTAP version 1" or "TAP version 13" is judged by its results: a failed or
    skipped one is a failure, whatever the exit status.
    """
    _refuse_both(dry_run=dry_run, gdb=gdb)
    refuse_without_board(allowed, [kernel])
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary, board_options=allowed)
        target = parse_target(kernel, machine, append, options)
        prepared = functools.partial(
            file_program,
            program,
            session.programs,
            arguments,
            seconds=timeout if survives is None else survives,
            survives=survives is not None,
        )
        prepared(page_size=PAGE)  # one that does not compile is refused before a kernel is built
        if dry_run:
            return print_commands(session, [target])
        # gdb needs QEMU: prepare() refuses a board.
        template = session.prepare(target) if gdb else session.testbed(target)
        ready = prepared(page_size=template.kernel.page_size)
    if isinstance(template, Template) and gdb:
        return _exit_status(_debugged(session, template, ready), template)

    def attempt(program: Program) -> Evidence:
        with session.system(template) as guest:
            return gather(guest, program, stream=OutputStream())

    evidence = gather_until_tested(attempt, ready, template, session.preconditions)
    return _exit_status(evidence, template)


def _debugged(session: Session, template: Template, program: Program) -> Evidence:
    """Run a program in one guest once a debugger is attached there; nothing has a time limit."""
    program = dataclasses.replace(program, seconds=UNLIMITED)
    with gdb_socket() as socket, session.guest(template, socket) as guest:
        say(f"{describe(template, socket)}\nthe program starts when gdb has attached and continues")
        wait_attached(guest)
        return gather(guest, program, stream=OutputStream())


def _exit_status(evidence: Evidence, template: Testbed) -> int:
    """Judge the evidence, say what is wrong, and return the exit status."""
    result = judge(evidence)
    if result.status is not Status.PASS:
        say(f"mte-harness: {template.kernel.name}: {result.text()}")
        if result.status is not Status.LOST:
            say(f"console since the clone:\n{result.console}")
    return result.status.exit_status


@click.command("shell")
@kernel_argument
@machine_option
@append_option
@source_options
@qemu_option
@dry_run_option
@gdb_option
def shell_command(
    kernel: str,
    machine: str | None,
    append: str,
    options: BuildOptions,
    qemu_binary: str | None,
    *,
    dry_run: bool,
    gdb: bool,
) -> int:
    """Open an interactive root shell in a fresh guest of KERNEL."""
    _refuse_both(dry_run=dry_run, gdb=gdb)
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        target = parse_target(kernel, machine, append, options)
        if dry_run:
            return print_commands(session, [target])
        template = session.prepare(target)
    with contextlib.ExitStack() as stack:
        socket = stack.enter_context(gdb_socket()) if gdb else None
        guest = stack.enter_context(session.guest(template, socket))
        handle = stack.enter_context(guest.reachable(cache_root() / "guests"))
        if socket:
            say(describe(template, socket))
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
