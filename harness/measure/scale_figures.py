# SPDX-License-Identifier: MIT
"""``mte-harness record scale``: what a plan for very many shards costs the host that merges it.

The tests are those of one real report, as if as many kernels had given the same. No guest is
started: what the shards would take is a forecast from the seconds of that report.
"""

from __future__ import annotations

import dataclasses
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.measure import measuring
from harness.report.model import Report, ShardRecord, TestRecord
from harness.shards.balance import SETUP, cut
from harness.shards.merge import Part, merge
from harness.shards.plan import Plan, PlannedTest, harness_key, harness_name, kernels_of, write_plan
from harness.suite.report_files import JUNIT, PAGE, REPORT, write_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from harness.measure.records import Record

    T = TypeVar("T")

MB = 1e6


def scale_record(root: Path, report: Report, kernels: int, shards: int) -> Record:
    """Return the record of a plan of ``kernels`` and ``shards``, and of the merge of its reports.

    ``report`` has the tests of one kernel. Raise UsageError for another one.
    """
    names = {test.kernel for test in report.tests}
    if len(names) != 1:
        raise UsageError(f"the report is of {len(names)} kernels", "give one of a single kernel")
    start = measuring.begin(root)
    (name,) = names
    tests = [_of(test, f"kernel-{n}", name) for n in range(kernels) for test in report.tests]
    planned = [PlannedTest(test.id, test.kernel, test.seconds) for test in tests]
    seconds: dict[str, float] = {}
    sizes: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="mte-scale-") as directory:
        place = Path(directory)
        parts = _timed(seconds, "tests cut into shards", lambda: cut(planned, shards))
        plan = Plan(harness_key(), harness_name(), kernels_of(planned), parts)
        write_plan(plan, place / "plan.json")
        sizes["plan"] = (place / "plan.json").stat().st_size / MB
        reports = _shards(plan, report, {test.id: test for test in tests})
        merged = _timed(seconds, "reports merged", lambda: merge(reports, plan, ""))
        _timed(seconds, "merged report written", lambda: write_all(merged, place))
        for file in (REPORT, PAGE, JUNIT):
            sizes[f"merged {file}"] = (place / file).stat().st_size / MB
    alone = sum(test.seconds for test in planned)
    loads = [_load(part) for part in plan.shards]
    forecast = {
        "forecast: all tests on one host, a guest at once": (alone, "s"),
        "forecast: the longest shard": (max(loads), "s"),
        "forecast: boots of a kernel for each shard": (
            sum(len(kernels_of(part)) for part in plan.shards) / shards,
            "",
        ),
        "forecast: times as fast as one host": (alone / max(loads), ""),
    }
    values = {
        **{what: (value, "s") for what, value in seconds.items()},
        **{what: (value, "MB") for what, value in sizes.items()},
        **forecast,
    }
    note = (
        f"the tests of {name}, as if each kernel had given the same; a forecast assumes the "
        f"seconds of that report on every host, and {SETUP:.0f} s for each kernel of a shard"
    )
    return measuring.new_record(
        "scale",
        f"{kernels} kernels, {shards} shards",
        start=start,
        root=root,
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
        counts={"tests": len(merged.tests), "holes": len(merged.holes)},
        values={what: measuring.value_of([value], unit) for what, (value, unit) in values.items()},
        notes=(note,),
    )


def _of(test: TestRecord, kernel: str, name: str) -> TestRecord:
    test_id = test.id.replace(f"[{name}", f"[{kernel}", 1)
    return dataclasses.replace(test, id=test_id, kernel=kernel, target=kernel)


def _shards(plan: Plan, report: Report, tests: dict[str, TestRecord]) -> list[Part]:
    found = []
    for number, part in enumerate(plan.shards, 1):
        shard = ShardRecord(
            plan.key, number, len(plan.shards), plan.harness, plan.commit, f"node-{number}", 0
        )
        kernels = tuple(
            dataclasses.replace(kernel, name=name)
            for name in kernels_of(part)
            for kernel in report.kernels
        )
        own = tuple(tests[test.id] for test in part)
        made = dataclasses.replace(report, kernels=kernels, tests=own, shards=(shard,))
        found.append(Part(f"shards/{number}", made))
    return found


def _load(part: tuple[PlannedTest, ...]) -> float:
    return sum(test.seconds for test in part) + SETUP * len(kernels_of(part))


def _timed(seconds: dict[str, float], what: str, action: Callable[[], T]) -> T:
    started = time.monotonic()
    result = action()
    seconds[what] = time.monotonic() - started
    return result
