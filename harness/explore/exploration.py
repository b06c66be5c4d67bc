# SPDX-License-Identifier: MIT
"""One exploration of a kernel: a search in several guests, whose hits are kept as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.explore.guest_search import Hit, Search
from harness.explore.known import load
from harness.explore.proof import write_hit
from harness.explore.trial import Place, Trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.explore.operations import Sequence_
    from harness.explore.proof import Printed
    from harness.suite.session import Session


@dataclass(frozen=True)
class Exploration:
    """What it came to. ``kept`` are the hits, each with its C program."""

    kept: tuple[tuple[Hit, Printed], ...]
    sequences: int
    operations: int
    seconds: float
    workers: int

    @property
    def speed(self) -> float:
        """Operations a second and guest."""
        return self.operations / self.seconds / self.workers

    @property
    def new(self) -> list[Hit]:
        """The hits that no finding explains."""
        return [hit for hit, _ in self.kept if not hit.finding]


def explore(
    session: Session,
    place: Place,
    batches: Iterator[list[Sequence_]],
    minutes: float,
    directory: Path,
    say: Callable[[str], None],
    *,
    workers: int,
    first_only: bool = False,
) -> Exploration:
    """Search for so long, or to the first new hit. Hits go to ``directory``.

    Raise UsageError for a kernel whose pages are not of 4 KiB, HarnessError for the host's trouble.
    """
    trials = [Trials(session, place) for _ in range(workers)]
    kept: list[tuple[Hit, Printed]] = []

    def keep(hit: Hit) -> bool:
        kept.append((hit, write_hit(hit, place, directory / f"hit-{len(kept) + 1}")))
        return first_only and not hit.finding

    search = Search(trials, batches, minutes, load(), say, keep)
    search.run()
    return Exploration(
        tuple(kept),
        sum(one.sequences for one in trials),
        sum(one.executed for one in trials),
        search.seconds,
        workers,
    )
