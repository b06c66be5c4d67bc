# SPDX-License-Identifier: MIT
"""``mte-harness bug``: the catalogue of bugs, and each of them run on a kernel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from harness.bugs.catalogue import Bug, Measured, On, catalogue, find_bug
from harness.bugs.kernel_trial import KernelTrials
from harness.bugs.reproduction import Reproduction, reproduce
from harness.bugs.search import CannotTryError
from harness.core.errors import OK, PROGRAM_FAILED, UsageError
from harness.core.paths import cache_root, checkout
from harness.jobs.options import qemu_option, shown_progress
from harness.jobs.output_stream import say
from harness.measure import measuring
from harness.suite.session import Session
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.core.progress import Progress

runs_option = click.option(
    "--runs", type=click.IntRange(1, 1000), default=10, show_default=True, help="Runs on a kernel."
)


@click.group("bug")
def bug_group() -> None:
    """Show and run the bugs of the catalogue, guest/bugs."""


@bug_group.command("list")
def list_command() -> None:
    """List all bugs: name, state, title, and where they were measured."""
    for bug in catalogue():
        click.echo(f"{bug.name}  [{bug.state}]  {bug.title}")
        rates = bug.rates()
        for on in bug.has:
            click.echo(f"    on {on}: {_rate(rates.get(str(on)))}")


@bug_group.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """Show all that the catalogue has on a bug."""
    bug = find_bug(name)
    rates = bug.rates()
    rows = [
        ("title", bug.title),
        ("state", bug.state),
        *(("reported", place) for place in bug.reported),
        ("introduced", bug.introduced or "not known"),
        ("fixed", bug.fixed or "no"),
        ("program", str(bug.source)),
        ("arguments", " ".join(bug.arguments)),
        ("shows as", bug.sign),
        ("needs", " ".join(bug.needs)),
        ("machine", bug.machine),
        *(("has it", f"{on}: {_rate(rates.get(str(on)))}") for on in bug.has),
        *(("free of it", f"{on}: {_rate(rates.get(str(on)))}") for on in bug.free),
    ]
    for key, value in rows:
        if value:
            click.echo(f"{key:12}{value}")


@bug_group.command("run")
@click.argument("name")
@click.option("--on", "kernel", metavar="KERNEL", help="A kernel (default: the first that has it).")
@click.option("--append", metavar="WORDS", default="", help="With --on: kernel parameters.")
@runs_option
@qemu_option
def run_command(
    name: str, kernel: str | None, append: str, runs: int, qemu_binary: str | None
) -> int:
    """Run a bug's program; exit with 1 if it shows where it should not, or the other way round.

    A kernel that the catalogue does not name should be free of the bug.
    """
    bug = find_bug(name)
    if append and not kernel:
        raise UsageError("--append is for the kernel of --on", "name it with --on")
    if not kernel and not bug.has:
        raise UsageError(f"no kernel that can be had has {name}", "name one with --on")
    on = On(kernel, append) if kernel else bug.has[0]
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        found = _found(bug, on, runs, session, progress)
    if found is None:
        return PROGRAM_FAILED
    click.echo(f"{bug.name} on {on} ({found.tally.release}):")
    click.echo("\n".join(found.lines()))
    return _as_expected(bug, on, found)


@bug_group.command("measure")
@click.argument("names", nargs=-1)
@click.option("--only", metavar="KERNEL", help="Only on this kernel of the catalogue.")
@runs_option
@qemu_option
def measure_command(
    names: Sequence[str], only: str | None, runs: int, qemu_binary: str | None
) -> int:
    """Measure the rates of bugs (default: all) on the kernels that the catalogue names.

    They are written into the catalogue. Exit with 1 if a bug shows where it should not, or the
    other way round.
    """
    root = checkout("mte-harness bug measure")
    bugs = [find_bug(name) for name in names] or catalogue()
    places = [(bug, on) for bug in bugs for on in (*bug.has, *bug.free)]
    wanted = [(bug, on) for bug, on in places if only in {None, on.kernel}]
    if not wanted:
        known = ", ".join(dict.fromkeys(on.kernel for _, on in places))
        raise UsageError(f"--only {only}: the entries name no such kernel", f"they name: {known}")
    status = OK
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        for bug, on in wanted:
            found = _found(bug, on, runs, session, progress)
            status = max(status, _kept(bug, on, found, session, root))
    return status


def _kept(bug: Bug, on: On, found: Reproduction | None, session: Session, root: Path) -> int:
    """Write the rate into the catalogue, and say it; return the exit status."""
    if found is None:
        return PROGRAM_FAILED
    tally = found.tally
    if tally.runs == tally.spoilt:
        say(f"mte-harness: {bug.name} on {on}: no run tells, and no rate is kept: {tally}")
        return PROGRAM_FAILED
    commit = measuring.git(root, "rev-parse", "HEAD").strip()[:12]
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    version = str(session.qemu)
    measured = Measured(
        tally.hits, tally.hits + tally.clean, tally.spoilt, tally.release, date, version, commit
    )
    bug.keep_rate(on, measured)
    click.echo(f"{bug.name} on {on}: {tally}")
    return _as_expected(bug, on, found)


def _found(
    bug: Bug, on: On, runs: int, session: Session, progress: Progress
) -> Reproduction | None:
    """Return what some runs on a kernel give; None, and a line, if the kernel cannot be tried."""
    progress.step(f"{bug.name} on {on}")
    target = parse_target(on.kernel, bug.machine, on.append)
    trials = KernelTrials(session, bug.reproducer(), lambda _: target, needs=bug.needs)
    try:
        return reproduce(trials, str(on), runs, bug.sign, progress.step)
    except CannotTryError as error:
        say(f"mte-harness: {on} {error}")
        return None


def _as_expected(bug: Bug, on: On, found: Reproduction) -> int:
    expected = on in bug.has
    if found.tally.runs > found.tally.spoilt and bool(found.tally.hits) == expected:
        return OK
    what = "shows no longer" if expected else "shows, against the catalogue,"
    if found.tally.runs == found.tally.spoilt:
        what = "cannot be told"
    say(f"mte-harness: {bug.name} {what} on {on}: {found.tally}")
    return PROGRAM_FAILED


def _rate(measured: Measured | None) -> str:
    if measured is None:
        return "not measured"
    return f"{measured.hits} of {measured.runs} ({measured.release}, {measured.date[:10]})"
