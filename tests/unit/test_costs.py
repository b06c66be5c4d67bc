# SPDX-License-Identifier: MIT
"""What is said of the cost of reuse, out of what the two kernels counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.core.paths import repository_root
from harness.jobs import costs

if TYPE_CHECKING:
    import pytest


def test_ratios_and_the_storage_gained(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: dict[str, dict[str, float]] = {
        "stock": dict.fromkeys(costs.OPERATIONS, 1000.0) | {"filled_kib": 900 * 1024.0},
        "tag-storage": dict.fromkeys(costs.OPERATIONS, 1010.0) | {"filled_kib": 931 * 1024.0},
    }
    del counted["stock"]["fault_tagged_evict"], counted["stock"]["fault_tagged_evict_worst"]
    monkeypatch.setattr(costs, "_measure", lambda _session, kernel, *_: counted[kernel])
    session: Any = None
    gained, first, *_, last = costs.costs(session)
    assert gained.result == "96.9 %"  # 31 of the 32 MiB of the machine's tag storage
    assert (first.stock, first.reuse, first.result) == ("1000", "1010", "1.010")
    assert (last.stock, last.reuse, last.result) == ("", "1010", "")


def test_each_operation_is_one_that_the_program_counts() -> None:
    text = (repository_root() / costs.PROGRAM).read_text()
    missing = [name for name in costs.OPERATIONS if f'"{name}' not in text]
    assert missing == []
