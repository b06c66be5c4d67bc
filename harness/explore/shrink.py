# SPDX-License-Identifier: MIT
"""Makes a sequence that deviates short and plain, as long as it deviates in the same way.

Candidates that differ in one thing run together in one guest, so that a round costs one guest,
however many there are. A bug that shows in some runs only is given several runs a candidate.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harness.explore.operations import Operation, Sequence_
    from harness.explore.trial import Trials

T = TypeVar("T")
ROUNDS = 80  # at most; each costs one guest
BATCH = 64  # runs in one guest
MISSED = 0.02  # the chance with which a candidate that deviates may be taken for one that does not
MOST_RUNS = 12  # of one candidate


def rate(trials: Trials, sequence: Sequence_, kind: str, runs: int = 8) -> float:
    """Return in what part of its runs a sequence deviates as ``kind``, all in one guest."""
    return sum(_shows(one, kind) for one in trials.run([sequence] * runs)) / runs


def _shows(deviation: object, kind: str) -> bool:
    return getattr(deviation, "kind", None) == kind


class Shrinker:
    """Shrinks one sequence that deviates as ``kind`` with some ``chance`` a run."""

    def __init__(
        self, trials: Trials, kind: str, chance: float, say: Callable[[str], None]
    ) -> None:
        self._trials = trials
        self._kind = kind
        self._say = say
        self._rounds = 0
        runs = 1 if chance >= 1 else math.ceil(math.log(MISSED) / math.log(1 - max(chance, 0.05)))
        self._runs = min(runs, MOST_RUNS)

    def shrink(self, sequence: Sequence_) -> Sequence_:
        """Return the shortest and plainest sequence that was found."""
        sequence = self._shorter(sequence)
        while self._rounds < ROUNDS:
            plain = self._plainer(sequence)
            if plain == sequence:
                break
            sequence = self._shorter(plain)
        return sequence

    def _shorter(self, sequence: Sequence_) -> Sequence_:
        size = max(1, len(sequence) // 2)
        while self._rounds < ROUNDS:
            chunks = [range(at, min(at + size, len(sequence))) for at in _starts(sequence, size)]
            gone = self._all_that_go(sequence, chunks)
            if gone:
                sequence = _without(sequence, gone)
                self._say(f"shrinking: {len(sequence)} operations")
            elif size == 1:
                break
            size = min(max(1, size // 2), len(sequence)) if not gone or size > 1 else 1
        return sequence

    def _all_that_go(self, sequence: Sequence_, chunks: list[range]) -> set[int]:
        """Return the operations that can be left out together, or the first chunk that can."""
        shown = self._which([_without(sequence, set(chunk)) for chunk in chunks])
        alone = [chunk for chunk, shows in zip(chunks, shown, strict=True) if shows]
        return self._most_of([set(chunk) for chunk in alone], lambda gone: _without(sequence, gone))

    def _most_of(self, changes: list[set[T]], changed: Callable[[set[T]], Sequence_]) -> set[T]:
        """Return changes that can be made together, of some that can be made alone.

        All of them are tried, their halves, quarters and so on, and the largest set is taken.
        """
        if len(changes) < 2:
            return set().union(*changes)
        sets: list[set[T]] = []
        size = len(changes)
        while size > 1:
            sets += [set().union(*changes[at : at + size]) for at in range(0, len(changes), size)]
            size = -(-size // 2)
        shown = self._which([changed(one) for one in sets])
        good = [one for one, shows in zip(sets, shown, strict=True) if shows]
        return max([*good, changes[0]], key=len)

    def _plainer(self, sequence: Sequence_) -> Sequence_:
        """Return the sequence with one round of smaller numbers."""
        changes = [
            (index, plain)
            for index, operation in enumerate(sequence)
            for plain in _plainer_forms(operation)
        ]
        shown = self._which([_with(sequence, [change]) for change in changes])
        taken: dict[int, Operation] = {}
        for (index, plain), shows in zip(changes, shown, strict=True):
            if shows:
                taken.setdefault(index, plain)
        chosen = self._most_of(
            [{change} for change in taken.items()], lambda some: _with(sequence, some)
        )
        return _with(sequence, chosen)

    def _which(self, candidates: Sequence[Sequence_]) -> list[bool]:
        """Return for each candidate whether one of its runs deviates as it should."""
        runs = self._runs
        shown: list[bool] = []
        for part in _parts(candidates, max(1, BATCH // runs)):
            self._rounds += 1
            found = self._trials.run([one for one in part for _ in range(runs)])
            kinds = [_shows(one, self._kind) for one in found]
            shown += [any(kinds[at * runs : (at + 1) * runs]) for at in range(len(part))]
        return shown


def _starts(sequence: Sequence_, size: int) -> Iterable[int]:
    return range(0, len(sequence), size)


def _without(sequence: Sequence_, gone: set[int]) -> Sequence_:
    return tuple(one for index, one in enumerate(sequence) if index not in gone)


def _with(sequence: Sequence_, changes: Iterable[tuple[int, Operation]]) -> Sequence_:
    changed = list(sequence)
    for index, operation in changes:
        changed[index] = operation
    return tuple(changed)


def _plainer_forms(operation: Operation) -> Iterator[Operation]:
    """Yield the operation with one number smaller, the smallest first."""
    for name in ("actor", "region", "span", "value"):
        number = getattr(operation, name)
        smaller = dict.fromkeys([0, 1, number // 64, number // 8, number // 2, number - 1])
        for less in smaller:
            if 0 <= less < number:
                yield dataclasses.replace(operation, **{name: less})


def _parts(candidates: Sequence[Sequence_], size: int) -> Iterator[Sequence[Sequence_]]:
    for at in range(0, len(candidates), size):
        yield candidates[at : at + size]
