# SPDX-License-Identifier: MIT
"""How long a test is expected to take, from the reports of earlier runs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.report.model import Report

UNKNOWN = 3.0  # seconds, where no report has any test


class Seconds:
    """The seconds of the tests of some reports."""

    def __init__(self, reports: Iterable[Report]) -> None:
        tests = [test for report in reports for test in report.tests if not test.base_gone]
        self._same: Mapping[str, float] = _medians((test.id, test.seconds) for test in tests)
        self._like: Mapping[str, float] = _medians((_bare(test.id), test.seconds) for test in tests)
        self._usual = statistics.median(test.seconds for test in tests) if tests else UNKNOWN

    def of(self, test_id: str) -> float:
        """Return the median of the same test; else of this test on other kernels; else of all."""
        like = self._like.get(_bare(test_id), self._usual)
        return round(max(self._same.get(test_id, like), 0.01), 3)


def _bare(test_id: str) -> str:
    """Return an id without the kernel: ``test_probe[debian:7.3-cow_fork]`` as test_probe[cow_fork].

    The kernel comes first in the brackets, and its name may have dashes; a probe's has none.
    """
    function, bracket, arguments = test_id.partition("[")
    return function + bracket + arguments.rpartition("-")[2]


def _medians(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for name, seconds in pairs:
        found.setdefault(name, []).append(seconds)
    return {name: statistics.median(values) for name, values in found.items()}
