# SPDX-License-Identifier: MIT
"""How long database and front page of many nights take, from records that are made up."""

from __future__ import annotations

import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.history.database import opened
from harness.history.night import (
    RECORDS,
    Context,
    KernelRun,
    Measure,
    Run,
    State,
    TestRun,
    save,
)
from harness.history.past import load_past
from harness.history.review import review
from harness.history.site import Site
from harness.measure import measuring

if TYPE_CHECKING:
    from harness.measure.records import Record

NIGHTS, KERNELS, RESULTS = 365, 20, 900
SEED = 20
_TESTS = 110  # of the results; the others are their cases
_FIRST = datetime(2026, 1, 1, 1, tzinfo=UTC)


def made_up_run(night: int, kernel: int, results: int, chance: random.Random) -> Run:
    """Return the record of a run with ``results`` tests and cases, a few of which fail."""
    started = _FIRST + timedelta(days=night)
    name, machine = f"kernel-{kernel}", "emulator"
    count = min(_TESTS, results)
    tests = []
    for number in range(count):
        cases = (results - count) // count + (number < (results - count) % count)
        failed = chance.random() < 0.002 or (number == 3 and kernel == 2 and night > 200)
        names = [f"case_{one}_of_some_length" for one in range(cases)]
        found = {State.PASS: tuple(names)}
        if failed and names:
            found = {State.FAIL: tuple(names[:1]), State.PASS: tuple(names[1:])}
        tests.append(
            TestRun(
                test=f"area{number % 9}/a_probe_with_a_name_{number}",
                kernel=name,
                machine=machine,
                state=State.FAIL if failed else State.PASS,
                seconds=round(1 + number / 40 + chance.random() / 4, 3),
                cases=found,
                reason="expected tag 9, saw 0" if failed else "",
            )
        )
    return Run(
        night=started.strftime("%Y%m%d-%H%M%S"),
        entry=f"validation {name}",
        suite="validation",
        kernel=name,
        machine="",
        started=(started + timedelta(minutes=10 * kernel)).isoformat(),
        seconds=round(200 + 20 * chance.random(), 1),
        prepare_seconds=3.0,
        exit_status=0,
        context=Context(f"commit {night // 3}", "QEMU 10.0.2", "gcc 12.2.0", "box: 2 CPUs"),
        kernels=(KernelRun(name, machine, f"{night // 7:016x}", f"7.3.{night // 7}", "", 1.3),),
        tests=tuple(tests),
        measures=(Measure("boot", name, machine, "s", round(1.3 + chance.random() / 10, 3)),),
    )


def make_up(results: Path, nights: int, kernels: int, each: int) -> None:
    """Write the records of ``nights`` nights on ``kernels`` kernels with ``each`` results."""
    chance = random.Random(SEED)
    for night in range(nights):
        for kernel in range(kernels):
            run = made_up_run(night, kernel, each, chance)
            save(run, results / "nights" / run.night / RECORDS / f"{kernel:03}.json")


def site_record(root: Path, command: str) -> Record:
    """Measure, and return the record: one sample of each value."""
    with tempfile.TemporaryDirectory(prefix="mte-site-") as directory:
        results = Path(directory)
        make_up(results, NIGHTS, KERNELS, RESULTS)
        start = measuring.begin(root)
        clocks = [_clocks()]
        with opened(results) as database:
            clocks.append(_clocks())
            seen = review(database, load_past(database), None)
            site = Site(seen, database)
            page = site.front().encode()
            clocks.append(_clocks())
            site.write(results / "site")
            clocks.append(_clocks())
    samples = {"size of the front page": (len(page) / 1024, "KiB")}
    steps = ("database made from the records", "front page from the database", "all pages")
    for name, before, after in zip(steps, clocks, clocks[1:], strict=False):
        samples[name] = (after[0] - before[0], "s")
        samples[f"CPU: {name}"] = (after[1] - before[1], "s")
    return measuring.new_record(
        "site",
        f"{NIGHTS} nights, {KERNELS} kernels, {RESULTS} results",
        start=start,
        root=root,
        command=command,
        seeds=(SEED,),
        values={name: measuring.value_of([value], unit) for name, (value, unit) in samples.items()},
    )


def _clocks() -> tuple[float, float]:
    """Return the time, and that which this process had of a CPU: other work takes the rest."""
    return time.monotonic(), time.process_time()
