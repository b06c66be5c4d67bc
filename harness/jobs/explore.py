# SPDX-License-Identifier: MIT
"""``mte-harness explore``: sequences that nobody wrote, on a kernel, for so many minutes."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.errors import OK, PROGRAM_FAILED
from harness.core.paths import cache_root, require_utf8
from harness.explore import hit as hits
from harness.explore.exploration import explore
from harness.explore.guest_search import random_batches, short_batches
from harness.explore.known import explain, load, without
from harness.explore.operations import AREAS
from harness.explore.proof import prove
from harness.explore.trial import SWAPS, Place, Trials
from harness.jobs.options import (
    append_option,
    kernel_argument,
    machine_option,
    qemu_option,
    shown_progress,
    source_options,
    workers_option,
)
from harness.suite.session import Session
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.explore.known import Known
    from harness.explore.proof import Printed
    from harness.kernel.build_options import BuildOptions
    from harness.suite.target import Target

MINUTES = click.FloatRange(min=0, min_open=True, max=7 * 1440)
REPLAYS = 8


def _findings(
    context: click.Context, parameter: click.Parameter, names: tuple[str, ...]
) -> list[Known]:
    """Return the findings of these names. The table is not read for other commands."""
    table = {known.finding: known for known in load()} if names else {}
    if unknown := [name for name in names if name not in table]:
        raise click.BadParameter(
            f"{unknown[0]!r} is not one of {', '.join(table)}", context, parameter
        )
    return [table[name] for name in names]


@click.command("explore")
@kernel_argument
@click.option("--minutes", type=MINUTES, default=10.0, show_default=True, help="How long.")
@click.option(
    "--seed", type=click.IntRange(0, 1 << 31), help="Choose the sequences (default: the time)."
)
@click.option("--only", "area", type=click.Choice(AREAS), help="Mostly operations of this area.")
@click.option(
    "--avoid",
    "avoided",
    metavar="FINDING",
    multiple=True,
    callback=_findings,
    help="Leave out the operations that meet a known finding; may be repeated.",
)
@click.option(
    "--short",
    type=click.IntRange(1, 4),
    metavar="LENGTH",
    help="All sequences of up to LENGTH core operations, in place of random ones.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Run a sequence.json {REPLAYS} times, and nothing else.",
)
@click.option(
    "--swap", type=click.Choice(list(SWAPS)), default="zram", show_default=True, help="Swap device."
)
@click.option(
    "--before", metavar="COMMAND", default="", help="A shell command in each guest before all else."
)
@click.option("--first", "first_only", is_flag=True, help="Stop at the first new hit.")
@click.option(
    "--good", metavar="KERNEL[@MACHINE]", help="Run each hit's C program on this kernel, too."
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where hits go (default: reports/explore-DATE-TIME).",
)
@workers_option
@machine_option
@append_option
@source_options
@qemu_option
def explore_command(
    kernel: str,
    minutes: float,
    seed: int | None,
    area: str | None,
    avoided: list[Known],
    short: int | None,
    replay: Path | None,
    swap: str,
    before: str,
    good: str | None,
    keep: Path | None,
    workers: int,
    machine: str | None,
    append: str,
    options: BuildOptions,
    qemu_binary: str | None,
    *,
    first_only: bool,
) -> int:
    """Run sequences of operations on KERNEL, and compare its memory with a model.

    What deviates is shrunk, and printed as a C program, which is then run by itself. The exit
    status is 1 if something deviates that docs/findings does not have yet.
    """
    directory = keep or Path(f"reports/explore-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    require_utf8(str(directory))
    saved = hits.read(replay) if replay else None
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        target = parse_target(kernel, machine, append, options)
        good_target = parse_target(good, None) if good else None
        template = session.prepare(target)
        place = Place(template, saved.swap if saved else swap, before)
        if saved:
            return _replay(Trials(session, place), saved)
        seed = int(datetime.now(UTC).timestamp()) if seed is None else seed
        batches = short_batches(short) if short else random_batches(seed, area or "")
        found = explore(
            session,
            place,
            without(batches, avoided),
            minutes,
            directory,
            progress.step,
            workers=workers,
            first_only=first_only,
        )
        show = functools.partial(prove, session, place=place, say=progress.step)
        kernels = [(kernel, target)]
        if good and good_target:
            kernels.append((good, good_target))
        proofs = [_proofs(show, kernels, printed) for _, printed in found.kept]
    click.echo(
        f"{template.kernel.name} {template.kernel.release}: {found.sequences} sequences, "
        f"{found.operations} operations in {found.seconds:.0f} s, {found.speed:.0f} a second and "
        f"guest, {f'all up to {short} operations' if short else f'seed {seed}'}"
    )
    for (hit, printed), proof in zip(found.kept, proofs, strict=True):
        name = f"known ({hit.finding})" if hit.finding else "NEW"
        click.echo(
            f"{name}: {hit.deviation.kind}: {len(hit.sequence)} operations of "
            f"{len(hit.found)}, {hit.rate:.0%} of runs, after {hit.seconds:.0f} s"
        )
        click.echo(f"  {printed.path}, {printed.lines} lines: {proof}")
        replay = printed.path.parent / "sequence.json"
        click.echo(f"  mte-harness explore {kernel} --replay {replay}")
    return PROGRAM_FAILED if found.new else OK


def _proofs(
    show: Callable[[Target, str, Printed], str],
    kernels: list[tuple[str, Target]],
    printed: Printed,
) -> str:
    return ", ".join(show(target, name, printed) for name, target in kernels)


def _replay(trials: Trials, saved: hits.Saved) -> int:
    """Run a sequence some times, and say how it deviated."""
    table = load()
    found = [one for one in trials.run([saved.sequence] * REPLAYS) if one]
    click.echo(f"deviates {len(found)} of {REPLAYS}; it was kept for {saved.kind!r}")
    for deviation in dict.fromkeys(found):
        click.echo(f"  {deviation.kind}: {deviation.text}")
    known = all(explain(one, saved.sequence, table) for one in found)
    return OK if known else PROGRAM_FAILED
