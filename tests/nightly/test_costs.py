# SPDX-License-Identifier: MIT
"""The costs of reuse can be measured: the program counts what harness/measure/costs.py lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.measure.costs import OPERATIONS, measure_costs

if TYPE_CHECKING:
    from harness.suite.session import Session


def test_each_operation_is_counted(harness_session: Session) -> None:
    figures = measure_costs(harness_session)
    assert [figure.what for figure in figures[1:]] == [what for what, _ in OPERATIONS.values()]
    assert all(float(figure.reuse) > 0 for figure in figures[1:])
