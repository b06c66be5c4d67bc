# SPDX-License-Identifier: MIT
"""One report from the shards': each hole has its name, and none is a pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.jobs.run_suite import worst_status
from harness.report.model import HoleKind, Report, ShardRecord, report_from_json, to_json
from harness.shards.merge import Part, merge
from harness.shards.plan import Plan, PlannedTest
from harness.verdict.result import Reason, Status
from tests.unit.report_sample import changed, good_report, sample_report

if TYPE_CHECKING:
    from collections.abc import Sequence

WHOLE = good_report()
TESTS = tuple(PlannedTest(test.id, "stock", test.seconds) for test in WHOLE.tests)
PLAN = Plan("0123456789abcdef", "97efce3", ("stock",), (TESTS[:6], TESTS[6:]), 3)
FIRST = {test.id for test in TESTS[:6]}


def shard(which: int, status: int = 0, **change: object) -> Report:
    """Return the report of a shard of PLAN, with some fields of its ShardRecord changed."""
    tests = tuple(test for test in WHOLE.tests if (test.id in FIRST) == (which == 1))
    record = ShardRecord(PLAN.key, which, 2, PLAN.harness, PLAN.commit, f"node-{which}", status)
    record = replace(record, **change)  # type: ignore[arg-type]
    return replace(WHOLE, tests=tests, shards=(record,), left_out=90)


def merged(*reports: Report | None, plan: Plan = PLAN) -> Report:
    parts = [Part(f"s{n}", report) for n, report in enumerate(reports, 1)]
    found = merge(parts, plan, "mte-harness merge")
    assert report_from_json(to_json(found)) == found
    return found


def kinds(report: Report) -> list[HoleKind]:
    assert not (report.holes and report.good)
    return [hole.kind for hole in report.holes]


def test_two_shards_are_the_whole() -> None:
    report = merged(shard(2), shard(1))
    assert report.tests == tuple(sorted(WHOLE.tests, key=lambda test: test.id))
    assert report.kernels == WHOLE.kernels
    assert kinds(report) == []
    assert report.good
    assert (report.left_out, worst_status(report)) == (3, errors.OK)
    assert {shard.number for shard in report.shards} == {1, 2}


def test_time_is_from_the_first_start_to_the_last_end() -> None:
    later = replace(shard(2), started="2026-11-22T20:04:25Z", seconds=100.0)
    report = merged(shard(1), later)
    assert (report.started[:19], report.seconds) == ("2026-11-22T20:03:25", 160.0)


def test_hosts_that_differ_are_both_named() -> None:
    other = replace(shard(2), host={**WHOLE.host, "cpus": "96"}, qemu="QEMU 11")
    report = merged(shard(1), other)
    assert report.host["cpus"] == f"{WHOLE.host['cpus']}; 96"
    assert report.host["system"] == WHOLE.host["system"]
    assert report.qemu == f"{WHOLE.qemu}; QEMU 11"


@pytest.mark.parametrize("there", [(shard(1),), (shard(1), None)], ids=["not given", "empty"])
def test_a_missing_shard(there: Sequence[Report | None]) -> None:
    report = merged(*there)
    (hole,) = report.holes
    assert kinds(report) == [HoleKind.MISSING]
    assert hole.shard == 2
    assert set(hole.tests) == {test.id for test in TESTS[6:]}
    assert worst_status(report) == errors.HarnessError.status


def test_nothing_at_all() -> None:
    report = merged()
    assert kinds(report) == [HoleKind.MISSING] * 2
    assert worst_status(report) == errors.HarnessError.status


def test_a_shard_that_the_host_ended() -> None:
    full = errors.DiskFullError.status
    report = merged(shard(1), replace(shard(2, full), errors=("the disk is full",)))
    (hole,) = report.holes
    assert hole.text == f"shard 2 on node-2 ended with status {full}: the disk is full"
    assert worst_status(report) == full


def test_a_probe_that_was_not_put_to_the_test_is_a_result() -> None:
    assert kinds(merged(shard(1), shard(2, errors.UNTESTED))) == []


def test_a_shard_that_ended_before_its_report_was_whole() -> None:
    cut = replace(shard(2), shards=())
    report = merged(shard(1), cut)
    assert kinds(report) == [HoleKind.FOREIGN, HoleKind.MISSING]
    assert not {test.id for test in report.tests} - FIRST


def test_a_damaged_report() -> None:
    parts = [Part("s1", shard(1)), Part("s2", None, "s2/report.json: not a report")]
    report = merge(parts, PLAN, "")
    assert kinds(report) == [HoleKind.FOREIGN, HoleKind.MISSING]
    assert "s2 does not count: s2/report.json: not a report" in report.holes[0].text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plan": "f" * 16}, "of another plan"),
        ({"harness": "f" * 16, "commit": "abc1234"}, "of another mte-harness (abc1234, not 97"),
        ({"number": 3}, "the plan has no shard 3"),
    ],
)
def test_a_foreign_shard(change: dict[str, object], said: str) -> None:
    report = merged(shard(1), shard(2, **change))  # type: ignore[arg-type]
    assert kinds(report) == [HoleKind.FOREIGN, HoleKind.MISSING]
    assert said in report.holes[0].text
    assert not {test.id for test in report.tests} - FIRST


@pytest.mark.parametrize("status", [errors.PROGRAM_FAILED, errors.BOOT_FAILED])
def test_a_bad_status_that_no_test_explains(status: int) -> None:
    report = merged(shard(1), shard(2, status))
    (hole,) = report.holes
    assert (hole.kind, hole.shard) == (HoleKind.TROUBLE, 2)
    assert f"on node-2 ended with status {status}" in hole.text
    assert worst_status(report) == errors.HarnessError.status


def test_a_test_without_a_result() -> None:
    lacking = shard(2)
    report = merged(shard(1), replace(lacking, tests=lacking.tests[1:]))
    (hole,) = report.holes
    assert hole.kind is HoleKind.NO_RESULT
    assert hole.tests == (lacking.tests[0].id,)


def test_a_test_that_is_not_of_the_plan() -> None:
    other = replace(WHOLE.tests[0], id="tests/x.py::test_x")
    second = shard(2)
    report = merged(shard(1), replace(second, tests=(*second.tests, other)))
    assert kinds(report) == [HoleKind.FOREIGN]
    assert report.holes[0].tests == (other.id,)


def test_a_test_that_ran_in_two_shards() -> None:
    first, second = shard(1), shard(2)
    bad = changed(first.tests[0], reasons=(Reason(Status.FAIL, "tags"),))
    report = merged(first, replace(second, tests=(*second.tests, bad)))
    assert kinds(report) == [HoleKind.FOREIGN, HoleKind.TWICE]
    assert report.holes[1].tests == (bad.id,)
    assert [test.id for test in report.failures] == [bad.id]  # the worse result counts


def test_a_shard_that_is_there_twice() -> None:
    first = shard(1)
    bad = changed(first.tests[0], reasons=(Reason(Status.FAIL, "tags"),))
    again = replace(first, tests=(bad, *first.tests[1:]))
    for one, other in ((first, again), (again, first)):
        report = merged(one, shard(2), other)
        assert [hole.text for hole in report.holes] == ["shard 1 is there 2 times: s1, s3"]
        assert [test.id for test in report.failures] == [bad.id]


def test_two_builds_of_a_kernel() -> None:
    other = replace(shard(2), kernels=tuple(replace(k, key="f" * 16) for k in WHOLE.kernels))
    report = merged(shard(1), other)
    (hole,) = report.holes
    assert hole.kind is HoleKind.KERNELS
    assert "ffffffffffffffff in shard 2" in hole.text


def test_a_failure_counts_before_a_hole() -> None:
    bad = sample_report()
    record = ShardRecord(PLAN.key, 1, 2, PLAN.harness, "", "", errors.GUEST_LOST)
    report = merged(replace(bad, shards=(record,)))
    assert HoleKind.MISSING in kinds(report)
    assert worst_status(report) == errors.GUEST_LOST
