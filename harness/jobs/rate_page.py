# SPDX-License-Identifier: MIT
"""The section of docs/figures.md on wrong failures: a row for each kernel and load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.jobs.rate import (
    AGAIN,
    HOST,
    KNOWN,
    PROGRAMS,
    RESULTS,
    RUNS,
    SKIPPED,
    WRONG,
    of_kind,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.measure.record_sums import Sum

COLUMNS = (
    "kernel, load, workers", "runs", "programs", "KTAP results", "wrong failures",
    "tests that the host kept from running",
    "cases that needed another guest", "known bugs, a run", "commit",
    "programs in all records", "wrong failures in all records",
)  # fmt: skip


def rate_rows(sums: Sequence[Sum]) -> tuple[list[list[str]], list[str]]:
    """Return table and remarks; ``sums`` are those of the kind "rate", the newest first."""
    rows, remarks = [list(COLUMNS), ["---"] * len(COLUMNS)], []
    for subject in sorted({total.newest.subject for total in sums}):
        newest, *older = [total for total in sums if total.newest.subject == subject]
        rows.append(_row(subject, newest, [newest, *older]))
        for total in (newest, *older):
            remarks += [
                f"{subject}: {name} ({count} in {total.counts[RUNS]} runs, {_commits(total)})."
                for name, count in sorted(total.counts.items())
                if name.startswith((WRONG, HOST, AGAIN))
            ]
        if skips := _skips(newest.counts):
            remarks.append(f"{subject}: skipped in a run: {skips}.")
    return rows, remarks


def _row(subject: str, newest: Sum, all_sums: Sequence[Sum]) -> list[str]:
    counts = newest.counts
    again = of_kind(AGAIN, counts)
    cells: list[object] = [subject, counts[RUNS], counts[PROGRAMS], counts.get(RESULTS, 0)]
    cells += [
        wrong(counts),
        of_kind(HOST, counts),
        again,
        _a_run(counts.get(KNOWN, 0), counts),
        _commits(newest),
    ]
    cells += [sum(total.counts[PROGRAMS] for total in all_sums)]
    cells += [sum(wrong(total.counts) for total in all_sums)]
    return [str(cell) for cell in cells]


def _skips(counts: Mapping[str, int]) -> str:
    return "; ".join(
        f"{_a_run(count, counts)} for {name.removeprefix(SKIPPED)}"
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if name.startswith(SKIPPED)
    )


def _a_run(count: int, counts: Mapping[str, int]) -> str:
    return f"{count / counts[RUNS]:.3g}"


def _commits(total: Sum) -> str:
    return ", ".join(dict.fromkeys(piece.commit[:7] for piece in total.pieces.values()))
