# SPDX-License-Identifier: MIT
"""Cuts tests into shards that take about the same time and have as few kernels as can be.

A kernel costs a shard SETUP seconds. The shards are filled with whole kernels, one after the other
(the wrap-around rule of McNaughton, Management Science 6, 1959), so that N shards of K kernels have
at most N + K - 1 pairs of shard and kernel. The tests of a kernel then go, the longest first, to
that of its shards which has the most room.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.shards.plan import PlannedTest

SETUP = 5.0  # seconds: the emulator check, and the boot of a template


@dataclass
class _Room:
    """The seconds that a shard has for a kernel, and what they are given to."""

    shard: int
    seconds: float
    tests: list[PlannedTest] = field(default_factory=list)


def cut(tests: Sequence[PlannedTest], shards: int) -> tuple[tuple[PlannedTest, ...], ...]:
    """Return the tests of each shard, the kernels one after the other, the longest tests first.

    The same tests give the same shards, in whatever order they come. Raise UsageError where a shard
    would have no test.
    """
    if shards > len(tests):
        raise UsageError(
            f"{len(tests)} tests cannot be cut into {shards} shards", f"--shards {len(tests)}"
        )
    kernels: dict[str, list[PlannedTest]] = {}
    for test in sorted(tests, key=lambda test: (-test.seconds, test.id, test.kernel)):
        kernels.setdefault(test.kernel, []).append(test)
    groups = sorted(kernels.values(), key=lambda group: (-_sum(group), group[0].kernel))
    rooms = _rooms([_sum(group) for group in groups], shards)
    for group, places in zip(groups, rooms, strict=True):
        _fill(group, places)
    found: list[list[PlannedTest]] = [[] for _ in range(shards)]
    for room in (room for places in rooms for room in places):
        found[room.shard] += room.tests
    return tuple(map(tuple, _without_empty(found)))


def _sum(tests: Iterable[PlannedTest]) -> float:
    return sum(test.seconds for test in tests)


def _rooms(seconds: Sequence[float], shards: int) -> list[list[_Room]]:
    """Return for each kernel, of which all tests take ``seconds``, its rooms in the shards."""
    pairs = shards + len(seconds) - 1
    capacity = (sum(seconds) + SETUP * pairs) / shards
    shard, free = 0, capacity
    rooms = []
    for wanted in seconds:
        places: list[_Room] = []
        left = wanted
        while not places or left > 1e-6:
            last = shard == shards - 1
            if free <= SETUP and not last:
                shard, free = shard + 1, capacity
                continue
            given = left if last else min(left, free - SETUP)
            places.append(_Room(shard, given))
            left -= given
            free -= given + SETUP
        rooms.append(places)
    return rooms


def _fill(tests: Iterable[PlannedTest], rooms: Sequence[_Room]) -> None:
    """Give each test, the longest first, to the room that then has the most seconds left."""
    for test in tests:
        room = max(rooms, key=lambda room: (room.seconds, -room.shard))
        room.tests.append(test)
        room.seconds -= test.seconds


def _without_empty(shards: list[list[PlannedTest]]) -> list[list[PlannedTest]]:
    """Give each shard that got no test the last one of the shard that has the most."""
    for shard in shards:
        if not shard:
            shard.append(max(shards, key=len).pop())
    return shards
