# SPDX-License-Identifier: MIT
"""``mte-harness record explore``: which mutants a search finds, each in so many minutes."""

from __future__ import annotations

import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.core.paths import cache_root
from harness.explore.guest_search import Search, random_batches, short_batches
from harness.explore.proof import write_hit
from harness.explore.trial import Place, Trials
from harness.kernel.mutants import HOLDERS, mutants_of
from harness.measure import measuring
from harness.suite.session import Session
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.core.progress import Progress
    from harness.explore.guest_search import Hit
    from harness.explore.operations import Sequence_
    from harness.guest.template import Template
    from harness.kernel.mutants import Mutant
    from harness.measure.records import Record

CHECKS = 4  # runs of a hit on the kernel without the mutant


@dataclass(frozen=True)
class Found:
    """What a search found on one mutant; None in ``hit``: nothing."""

    name: str
    hit: Hit | None
    lines: int
    seconds: float

    def line(self) -> str:
        """Return it in words."""
        if self.hit is None:
            return f"{self.name}: not found in {self.seconds:.0f} s"
        return (
            f"{self.name}: {self.hit.deviation.kind}, after {self.hit.seconds:.0f} s, "
            f"{len(self.hit.sequence)} operations, a C program of {self.lines} lines"
        )


def explore_record(
    root: Path,
    recipe: str,
    numbers: tuple[int, ...],
    areas: tuple[str, ...],
    minutes: float,
    progress: Progress,
) -> Record:
    """Search on the mutants of ``recipe`` that have these numbers, or areas; return the record.

    A hit counts if its sequence does not deviate on the same kernel without the mutant. After an
    interruption (Ctrl-C) the record has the mutants that were done by then. Raise UsageError if
    there is no such mutant.
    """
    chosen = [
        mutant
        for mutant in mutants_of(recipe)
        if (not numbers or mutant.number in numbers) and (not areas or mutant.area in areas)
    ]
    if not chosen:
        areas_there = ", ".join(sorted({mutant.area for mutant in mutants_of(recipe)}))
        raise UsageError(f"{recipe} has no such mutant", f"its areas: {areas_there}")
    start = measuring.begin(root)
    session = Session(cache_root(), progress)
    target = parse_target(recipe, None)
    template = session.prepare(target)
    found: list[Found] = []
    try:
        for mutant in chosen:
            found.append(_search(session, template, mutant, minutes, progress))
            progress.step(found[-1].line())
    except KeyboardInterrupt:
        if not found:
            raise
        chosen = chosen[: len(found)]
    return measuring.new_record(
        "explore",
        recipe,
        start=start,
        root=root,
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
        kernels={recipe: template.kernel.key},
        machine=target.spec.name,
        qemu=str(session.qemu),
        seeds=[mutant.number for mutant in chosen],
        counts={
            "mutants found": sum(one.hit is not None for one in found),
            "mutants not found": sum(one.hit is None for one in found),
        },
        notes=tuple(one.line() for one in found),
    )


def _search(
    session: Session,
    template: Template,
    mutant: Mutant,
    minutes: float,
    progress: Progress,
) -> Found:
    place = Place(template, prelude=f"echo {mutant.number} > {HOLDERS[mutant.recipe].switch}")
    healthy = Trials(session, Place(template))
    kept: list[Hit] = []

    def of_the_mutant(sequence: Sequence_) -> bool:
        return not any(healthy.run([sequence] * CHECKS))

    def keep(hit: Hit) -> bool:
        if of_the_mutant(hit.sequence):
            kept.append(hit)
        return bool(kept)

    search = Search(
        [Trials(session, place) for _ in range(2)],
        _mixed(mutant.number),
        minutes,
        (),
        _quiet(progress, mutant.name),
        keep,
        of_the_mutant,
    )
    search.run()
    lines = 0
    if kept:
        with tempfile.TemporaryDirectory(prefix="mte-explore-") as directory:
            lines = write_hit(kept[0], place, Path(directory)).lines
    return Found(mutant.name, kept[0] if kept else None, lines, search.seconds)


def _mixed(seed: int) -> Iterator[list[Sequence_]]:
    """Yield in turn short sequences, until there are no more of two operations, and random ones."""
    short, by_chance = short_batches(2), random_batches(seed, "")
    for batch in by_chance:
        if some := next(short, None):
            yield some
        yield batch


def _quiet(progress: Progress, name: str) -> Callable[[str], None]:
    return lambda text: progress.step(f"{name}: {text}")
