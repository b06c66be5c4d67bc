# SPDX-License-Identifier: MIT
"""Nights for the tests of harness/history: records that differ in what a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.history.database import opened
from harness.history.night import (
    RECORDS,
    Context,
    KernelRun,
    Measure,
    Night,
    Run,
    State,
    TestRun,
    save,
)
from harness.history.past import load_past
from harness.history.review import Review, review

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

CONTEXT = Context("c0ffee", "QEMU emulator version 10.0.2", "gcc 12.2.0; ld 2.40", "box: 2 CPUs")
KERNEL = KernelRun("stock", "emulator", "8f1e0c5ad3b94e21", "7.3.4", "Debian's", 1.3)
ENTRY = "validation stock"


def name_of(night: int) -> str:
    return f"202611{night:02}-200000"


def ran(name: str, state: State = State.PASS, **fields: object) -> TestRun:
    facts: dict[str, object] = {"kernel": "stock", "machine": "emulator", "seconds": 2.0}
    return TestRun(test=name, state=state, **{**facts, **fields})  # type: ignore[arg-type]


def run_of(night: int, tests: Sequence[TestRun], **fields: object) -> Run:
    facts: dict[str, object] = {
        "entry": ENTRY,
        "kernels": (KERNEL,),
        "context": CONTEXT,
        "seconds": 100.0,
        "measures": (Measure("boot", "stock", "emulator", "s", 1.3),),
        "report": f"nights/{name_of(night)}/001/report.html",
    }
    return Run(
        night=name_of(night),
        suite="validation",
        kernel="stock",
        machine="",
        started=f"2026-11-{night:02}T20:00:00+00:00",
        prepare_seconds=1.0,
        exit_status=0,
        tests=tuple(tests),
        **{**facts, **fields},  # type: ignore[arg-type]
    )


def keep(results: Path, *runs: Run) -> None:
    """Write the records of runs, several of a night in their order."""
    for run in runs:
        directory = results / "nights" / run.night / RECORDS
        number = len(list(directory.glob("*.json"))) + 1
        save(run, directory / f"{number:03}.json")


def nights(results: Path, states: Mapping[str, str]) -> None:
    """Write nights of one run each: ``{"swap": "ppf-"}`` is a test on four nights.

    p, f, s(kip), e(rror), u(ntested), l(ost), x (splat), k(nown), E(xpired); - is a night without
    it.
    """
    words = {
        "p": State.PASS, "f": State.FAIL, "s": State.SKIP, "e": State.ERROR, "l": State.LOST,
        "x": State.SPLAT, "k": State.KNOWN, "E": State.EXPIRED, "u": State.UNTESTED,
    }  # fmt: skip
    for night in range(max(map(len, states.values()))):
        tests = [
            ran(name, words[letters[night]], bug="docs/bugs/it.md" if "k" in letters else "")
            for name, letters in states.items()
            if letters[night] != "-"
        ]
        keep(results, run_of(night + 1, tests))


def look(
    results: Path, night: Night | None = None, name: str = "", untold: Iterable[str] = ()
) -> Review:
    """Return the review of the last night, or of another."""
    with opened(results) as database:
        return review(database, load_past(database, name, untold), night)
