# SPDX-License-Identifier: MIT
"""``mte-harness record bisects``: searches whose right answer is known, on real guests.

The kernel ``mutants`` stands for a line of commits. From a secret one on, or up to it, a mutant is
switched on in the guest, one that a bug of the catalogue shows. A program that fails in 3 of 10
runs is made of one that always does: it ends at once in the other 7.
"""

from __future__ import annotations

import dataclasses
import random
import re
import shlex
import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from harness.bugs.catalogue import Bug, catalogue
from harness.bugs.journal import Journal
from harness.bugs.kernel_trial import KernelTrials
from harness.bugs.points import ListHistory
from harness.bugs.search import Search, Settings
from harness.core.errors import OK, PROGRAM_FAILED, UsageError
from harness.core.paths import cache_root, checkout
from harness.jobs.options import shown_progress
from harness.jobs.record_commands import keep
from harness.kernel.mutants import HOLDERS
from harness.measure import measuring
from harness.suite.session import Session
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from harness.bugs.tally import Tally
    from harness.core.progress import Progress
    from harness.suite.target import Target

KERNEL = "mutants"
MUTANT = re.compile(rf"{HOLDERS[KERNEL].parameter}=(\d+)")
COMMITS = 32
RATES = (1.0, 0.3)
# 77 of 256 random bytes pass. A clone's random numbers are its own: the run disk brings their seed.
RARELY = (
    "read -r u < /proc/sys/kernel/random/uuid; case $u in [0-3]*|4[0-9a-c]*) ;; *) exit 0 ;; esac"
)


class Commits(ListHistory):
    """Commits that are numbers."""

    def title(self, point: str) -> str:
        """Return the number."""
        return f"commit {point}"

    def answer(self, suspects: Sequence[str], *, came: bool) -> list[str]:
        """Return the commits that it may be."""
        return [f"{'came' if came else 'went'} with {' '.join(suspects)}"]


class MutantTrials:
    """The Trials of commits of which those in ``has`` have the bug; ``runs`` counts the runs."""

    def __init__(
        self, session: Session, bug: Bug, target: Target, has: Container[str], rate: float
    ) -> None:
        self._has = has
        self.runs = 0
        found = MUTANT.search(bug.has[-1].append)
        assert found
        rarely = "" if rate == RATES[0] else RARELY
        switches = {True: f"echo {found[1]} > {HOLDERS[KERNEL].switch}", False: ""}
        self._trials = {
            has_it: KernelTrials(
                session,
                dataclasses.replace(
                    bug.reproducer(), prelude="; ".join(filter(None, [switch, rarely]))
                ),
                lambda _: target,
            )
            for has_it, switch in switches.items()
        }

    def prepare(self, point: str, tally: Tally) -> None:
        """Start the guest; each commit counts as another Image."""
        self._trials[point in self._has].prepare(point, tally)
        tally.content = f"commit {point}"

    def run(self, point: str) -> dict[str, str]:
        """Run once in a fresh guest."""
        self.runs += 1
        return self._trials[point in self._has].run(point)


@click.command("bisects")
@click.option("--count", type=click.IntRange(1, 1000), default=4, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first search.")
def record_bisects_command(count: int, seed: int) -> int:
    """Record how many searches over simulated commits end at the right one, on real guests."""
    root = checkout("mte-harness record")
    start = measuring.begin(root)
    counts: Counter[str] = Counter()
    with shown_progress() as progress:
        session = Session(cache_root(), progress)
        target = parse_target(KERNEL, None)
        kernel = session.kernel_of(target)
        for number in range(seed, seed + count):
            counts += search_mutants(number, session, target, progress)
    keep(
        measuring.new_record(
            "bisect",
            f"{COMMITS} commits of {KERNEL}",
            start=start,
            root=root,
            command=shlex.join(["mte-harness", *sys.argv[1:]]),
            kernels={KERNEL: kernel.key},
            machine=target.spec.name,
            qemu=str(session.qemu),
            seeds=range(seed, seed + count),
            counts=counts,
        ),
        root,
    )
    return PROGRAM_FAILED if any(name.startswith("wrong") for name in counts) else OK


def search_mutants(seed: int, session: Session, target: Target, progress: Progress) -> Counter[str]:
    """Return the counts of one search, whose choices follow from ``seed``."""
    chance = random.Random(seed)
    rate = RATES[seed % 2]
    bug = chance.choice([bug for bug in catalogue() if MUTANT.search(bug.has[-1].append)])
    came, secret = chance.random() < 0.5, chance.randrange(1, COMMITS)
    points = [str(number) for number in range(COMMITS)]
    trials = MutantTrials(
        session, bug, target, set(points[secret:] if came else points[:secret]), rate
    )
    settings = Settings(came, runs=10 if rate == RATES[0] else 20, sign=bug.sign)
    search = Search(Commits(points), trials, Journal({}), settings, lambda: None, progress.step)
    try:
        found = search.result()
    except UsageError as error:  # a rare bug did not show on an end, which is told
        progress.step(f"search {seed}: refused: {error}")
        return Counter({f"refused, rate {rate}": 1, "runs": trials.runs})
    right = found.suspects == (points[secret],) and found.confidence >= settings.confidence
    word = "right" if right else "wrong"
    progress.step(
        f"search {seed}: {word}: {bug.name}, rate {rate}, {'came' if came else 'went'} with "
        f"{secret}, said {' '.join(found.suspects)} with {found.confidence:.2%}, {trials.runs} runs"
    )
    return Counter({f"{word}, rate {rate}": 1, "runs": trials.runs})
