# SPDX-License-Identifier: MIT
"""Which tests go into which shard."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.shards.balance import SETUP, cut
from harness.shards.plan import PlannedTest, kernels_of
from harness.shards.seconds import UNKNOWN, Seconds
from tests.unit.report_sample import good_report

if TYPE_CHECKING:
    import random

TESTS = st.lists(
    st.builds(
        PlannedTest,
        st.integers(0, 10**6).map(lambda number: f"test_{number}"),
        st.sampled_from(["stock", "debian:7.3", "stock@dram", "mutants"]),
        st.floats(0.01, 300).map(lambda seconds: round(seconds, 3)),
    ),
    min_size=1,
    max_size=60,
)


@given(TESTS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_shards(tests: list[PlannedTest], wanted: int, chance: random.Random) -> None:
    wanted = min(wanted, len(tests))
    shards = cut(tests, wanted)
    assert len(shards) == wanted
    assert all(shards)
    assert Counter(test for shard in shards for test in shard) == Counter(tests)
    # As few kernels as can be: each more one is a boot more.
    pairs = sum(len(kernels_of(shard)) for shard in shards)
    kernels = len(kernels_of(tests))
    assert pairs <= wanted + kernels - 1 + sum(len(shard) == 1 for shard in shards)
    # No shard is over its part by more than one test of each of its kernels.
    part = (sum(test.seconds for test in tests) + SETUP * (wanted + kernels - 1)) / wanted
    for shard in shards:
        longest = {test.kernel: test.seconds for test in sorted(shard, key=lambda t: t.seconds)}
        assert sum(test.seconds for test in shard) <= part + sum(longest.values()) + 1e-3
    for shard in shards:  # the longest first, so that the short ones fill the gaps at the end
        for kernel in kernels_of(shard):
            seconds = [test.seconds for test in shard if test.kernel == kernel]
            assert len(shard) < 3 or seconds[:-1] == sorted(seconds[:-1], reverse=True)
    chance.shuffle(tests)
    assert cut(tests, wanted) == shards


def planned(*seconds: float, kernel: str = "stock") -> list[PlannedTest]:
    return [PlannedTest(f"{kernel}_{n}", kernel, each) for n, each in enumerate(seconds)]


def test_two_kernels_in_two_shards_have_one_each() -> None:
    tests = [*planned(*[10.0] * 9), *planned(*[10.0] * 9, kernel="debug")]
    assert [kernels_of(shard) for shard in cut(tests, 2)] == [("debug",), ("stock",)]


def test_one_long_test_has_its_shard_to_itself() -> None:
    long, *rest = cut(planned(100, *[10.0] * 10), 2)
    assert [test.seconds for test in long] == [100]
    assert len(rest[0]) == 10


def test_more_shards_than_tests() -> None:
    with pytest.raises(UsageError, match="2 tests cannot be cut into 3 shards"):
        cut(planned(1, 2), 3)


def test_seconds_of_earlier_runs() -> None:
    report = good_report()
    (first, *_) = report.tests
    seconds = Seconds([report])
    assert seconds.of(first.id) == round(first.seconds, 3)
    # On another kernel it takes as long; a test that nobody knows takes as long as most.
    assert seconds.of(first.id.replace("stock", "debian:7.3")) == round(first.seconds, 3)
    known = sorted(test.seconds for test in report.tests)
    assert known[0] < seconds.of("tests/validation/test_new.py::test_new[stock]") < known[-1]
    assert Seconds([]).of(first.id) == UNKNOWN


def test_a_test_that_was_not_run_says_nothing() -> None:
    report = good_report()
    gone = tuple(replace(test, base_gone="linux", seconds=0.0) for test in report.tests)
    assert Seconds([replace(report, tests=gone)]).of("test_x") == UNKNOWN
