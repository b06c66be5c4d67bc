# SPDX-License-Identifier: MIT
"""Searches for so long: sequences at random or all short ones, in several guests at once."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.explore.by_chance import random_sequences
from harness.explore.generate import exhaustive
from harness.explore.known import Known, explain
from harness.explore.shrink import Shrinker, rate
from harness.explore.trial import EVERYWHERE, TOGETHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.explore.deviation import Deviation
    from harness.explore.operations import Sequence_
    from harness.explore.trial import Trials

BATCH = 60  # random sequences in one guest
BATCH_OF_SHORT = 200
MOST_OF_A_KIND = 3  # deviations with one fingerprint that are shrunk in one search


@dataclass(frozen=True)
class Hit:
    """A deviation after shrinking: ``rate`` is the part of runs of ``found`` that showed it.

    ``finding``: the one of the table that it is, "" for a new one.
    """

    deviation: Deviation
    found: Sequence_
    sequence: Sequence_
    rate: float
    finding: str
    seconds: float  # from the beginning of the search


@dataclass
class Search:
    """A search, which stops after ``minutes``, or once ``keep`` says that a hit is enough.

    ``batches`` gives what to run; ``keep`` gets each hit at once. A sequence that is not ``worth``
    it is not shrunk.
    """

    trials: Sequence[Trials]
    batches: Iterator[list[Sequence_]]
    minutes: float
    table: tuple[Known, ...]
    say: Callable[[str], None]
    keep: Callable[[Hit], bool]
    worth: Callable[[Sequence_], bool] = lambda _: True
    hits: list[Hit] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: bool = False
    _started: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Search. Raise HarnessError for trouble of the host."""
        with ThreadPoolExecutor(len(self.trials)) as pool:
            running = [pool.submit(self._work, trials) for trials in self.trials]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
                for one in running:
                    if one.done():
                        one.result()
            except BaseException:  # Ctrl-C too: what runs in a guest would go on for minutes
                self._stop = True
                for trials in self.trials:
                    trials.abort()
                raise

    @property
    def seconds(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self._started

    def _work(self, trials: Trials) -> None:
        while not self._stop and self.seconds < self.minutes * 60:
            with self._lock:
                batch = next(self.batches, None)
            if batch is None:
                return
            for sequence, deviation in zip(batch, trials.run(batch), strict=True):
                if deviation and not self._stop:
                    self._treat(trials, sequence, deviation)
            done = sum(one.sequences for one in self.trials)
            self.say(f"{done} sequences, {sum(one.executed for one in self.trials)} operations")

    def _treat(self, trials: Trials, sequence: Sequence_, deviation: Deviation) -> None:
        if not self.worth(sequence):
            return
        with self._lock:
            self._seen[deviation.kind] = self._seen.get(deviation.kind, 0) + 1
            if self._seen[deviation.kind] > MOST_OF_A_KIND:
                return
        self.say(f"deviates: {deviation.kind}: {deviation.text}")
        alone = not deviation.kind.endswith((EVERYWHERE, TOGETHER))
        chance = rate(trials, sequence, deviation.kind) if alone else 0.0
        short = sequence
        if chance:
            # What comes after it has no part in it.
            end = None if deviation.operation is None else deviation.operation + 1
            short = Shrinker(trials, deviation.kind, chance, self.say).shrink(sequence[:end])
            again = [one for one in trials.run([short] * 8) if one and one.kind == deviation.kind]
            deviation = again[0] if again else deviation
        finding = explain(deviation, short, self.table)
        hit = Hit(deviation, sequence, short, chance, finding, self.seconds)
        with self._lock:
            self.hits.append(hit)
            self._stop = self.keep(hit) or self._stop


def random_batches(seed: int, area: str) -> Iterator[list[Sequence_]]:
    """Yield batches without end; the same numbers give the same ones."""
    for number in itertools.count():
        yield random_sequences(seed * 1_000_003 + number, BATCH, area)


def short_batches(length: int) -> Iterator[list[Sequence_]]:
    """Yield all sequences of up to ``length`` core operations."""
    every = exhaustive(length)
    while batch := list(itertools.islice(every, BATCH_OF_SHORT)):
        yield batch
