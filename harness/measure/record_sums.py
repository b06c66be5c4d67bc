# SPDX-License-Identifier: MIT
"""Adds up the records of a measurement that was made in pieces.

Two records add up only if they are of one kind and subject and nothing that can change the figure
differs between them: the repository paths of the kind (by git object id), the kernels (by content
key), QEMU, the machine, and, where a value is a wall time, the class of host.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.measure.records import CONVERTER, TIME_UNITS, Record, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Sum:
    """Records that add up, by name, the oldest first."""

    pieces: dict[str, Record]

    def having(self, figure: str) -> Sum:
        """Return the sum of those pieces that have the count or value ``figure``."""
        found = {n: p for n, p in self.pieces.items() if figure in {**p.counts, **p.values}}
        return Sum(found)

    @property
    def newest(self) -> Record:
        """The newest record."""
        return list(self.pieces.values())[-1]

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds of all pieces; no two pieces share one."""
        return frozenset(seed for piece in self.pieces.values() for seed in piece.seeds)

    @property
    def counts(self) -> dict[str, int]:
        """Each count, added up."""
        total: Counter[str] = Counter()
        for piece in self.pieces.values():
            total.update(piece.counts)
        return dict(total)

    @property
    def values(self) -> dict[str, Value]:
        """Each value: the mean of the pieces' medians weighted by n, and the extremes."""
        parts: dict[str, list[Value]] = {}
        for piece in self.pieces.values():
            for name, value in piece.values.items():
                parts.setdefault(name, []).append(value)
        return {name: _weighted(values) for name, values in parts.items()}


def add_up(records: Mapping[str, Record]) -> tuple[list[Sum], dict[str, str]]:
    """Add up the records that may be: return the sums, the newest first, and what is left out.

    A record is left out, with the reason, if its tree was dirty, if it is of the same run as an
    older record of the same sum, repeats a seed of that, or gives a value in another unit.
    """
    groups: dict[str, dict[str, Record]] = {}
    left_out = {}
    for name, record in sorted(records.items(), key=lambda item: (item[1].date, item[0])):
        group = groups.setdefault(_key(record), {})
        reason = _refusal(record, group)
        if reason:
            left_out[name] = reason
        else:
            group[name] = record
    sums = [Sum(group) for group in groups.values() if group]
    sums.sort(key=lambda total: (total.newest.date, list(total.pieces)[-1]), reverse=True)
    return sums, left_out


def difference(new: Record, old: Record) -> str:
    """Return what keeps two records of one kind and subject from being added up."""
    before, after = old.inputs, new.inputs
    names = {**before.objects, **after.objects}
    found = [name for name in names if before.objects.get(name) != after.objects.get(name)]
    found += [
        what
        for what in ("kernels", "machine", "qemu")
        if getattr(before, what) != getattr(after, what)
    ]
    if old.host.host_class != new.host.host_class and (_is_timed(new) or _is_timed(old)):
        found.append("host")
    return ", ".join(found) or "wall times in one of them only"


def _refusal(record: Record, group: Mapping[str, Record]) -> str:
    if record.dirty:
        return "the working tree was not the commit's"
    for name, other in group.items():
        if (record.date, record.command) == (other.date, other.command):
            return f"is the same run as `{name}`"
        repeated = sorted({*record.seeds} & {*other.seeds})
        if repeated:
            return f"repeats seeds {', '.join(map(str, repeated))} of `{name}`"
        for what in record.values.keys() & other.values.keys():
            if record.values[what].unit != other.values[what].unit:
                return f"gives {what} in another unit than `{name}`"
    return ""


def _is_timed(record: Record) -> bool:
    return any(value.unit in TIME_UNITS for value in record.values.values())


def _key(record: Record) -> str:
    """Return a string that is equal for records that add up."""
    host = record.host.host_class if _is_timed(record) else ""
    parts = [record.kind, record.subject, CONVERTER.unstructure(record.inputs), host]
    return json.dumps(parts, sort_keys=True)


def _weighted(values: Sequence[Value]) -> Value:
    n = sum(value.n for value in values)
    mean = sum(value.value * value.n for value in values) / n
    low, high = min(value.low for value in values), max(value.high for value in values)
    return Value(mean, values[0].unit, n, low, high)
