# SPDX-License-Identifier: MIT
"""Which deviations are findings that are written up already: guest/explore/known.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.paths import resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.explore.deviation import Deviation
    from harness.explore.operations import Operation, Sequence_

TABLE = resources() / "guest" / "explore" / "known.toml"


@dataclass(frozen=True)
class Known:
    """A finding: a shrunk sequence with one of ``kinds`` of deviation, and ``operations`` in it.

    ``operations`` are sets of which one operation each must be there. Without those in ``avoid``
    no sequence meets it.
    """

    finding: str
    kinds: frozenset[str]
    operations: tuple[frozenset[str], ...]
    avoid: frozenset[str]

    def explains(self, kind: str, sequence: Iterable[Operation]) -> bool:
        """Return whether a shrunk sequence that deviates as ``kind`` is this finding."""
        there = {operation.kind for operation in sequence}
        return kind in self.kinds and all(some & there for some in self.operations)


def load() -> tuple[Known, ...]:
    """Return the table."""
    data = tomllib.loads(TABLE.read_text("utf-8"))
    return tuple(
        Known(
            finding,
            frozenset(entry["kinds"]),
            tuple(frozenset(some) for some in entry["operations"]),
            frozenset(entry["avoid"]),
        )
        for finding, entry in data.items()
    )


def explain(deviation: Deviation, sequence: Sequence_, table: Iterable[Known]) -> str:
    """Return the name of the finding that a deviation is, "" for a new one."""
    return next((one.finding for one in table if one.explains(deviation.kind, sequence)), "")


def without(
    batches: Iterable[list[Sequence_]], findings: Iterable[Known]
) -> Iterator[list[Sequence_]]:
    """Take what meets ``findings`` out of each sequence; what is left of it stays valid."""
    avoid = frozenset[str]().union(*(one.avoid for one in findings))
    for batch in batches:
        yield [tuple(each for each in one if each.kind not in avoid) for one in batch]
