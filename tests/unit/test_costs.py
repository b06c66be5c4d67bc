# SPDX-License-Identifier: MIT
"""The figures of the costs of reuse, computed from the counts of two kernels."""

from __future__ import annotations

import pytest

from harness.core.errors import HarnessError
from harness.measure.costs import FILLED, OPERATIONS, compare, parse_counts

STOCK = dict.fromkeys(OPERATIONS, 1000.0) | {FILLED: 900 * 1024.0}
REUSE = dict.fromkeys(OPERATIONS, 1010.0) | {FILLED: 931 * 1024.0}


def test_ratio_of_each_operation_and_the_storage_gained() -> None:
    gained, first, *rest = compare(STOCK, REUSE, 32 * 1024)
    assert (gained.stock, gained.reuse, gained.result) == ("900.0 MiB", "931.0 MiB", "96.9 %")
    assert (first.what, first.reach) == OPERATIONS["fault_plain"]
    assert (first.stock, first.reuse, first.result) == ("1000", "1010", "1.010")
    assert len(rest) == len(OPERATIONS) - 1


def test_an_operation_that_only_reuse_has_gets_no_ratio() -> None:
    stock = {name: count for name, count in STOCK.items() if "evict" not in name}
    *_, last = compare(stock, REUSE, 32 * 1024)
    assert (last.stock, last.reuse, last.result) == ("", "1010", "")


def test_an_operation_that_was_not_counted_is_an_error() -> None:
    reuse = {name: count for name, count in REUSE.items() if name != "free_tagged"}
    with pytest.raises(HarnessError, match="did not count free_tagged"):
        compare(STOCK, reuse, 32 * 1024)


def test_counts_are_read_from_the_output() -> None:
    output = f"fault_plain 1234.5\n{FILLED} 900\n"
    assert parse_counts(output) == {"fault_plain": 1234.5, FILLED: 900}


def test_a_count_that_has_no_row_is_an_error() -> None:
    with pytest.raises(HarnessError, match="fault_odd"):
        parse_counts("fault_odd 1\n")
