# SPDX-License-Identifier: MIT
"""The plan's file, and the key of the mte-harness that made it."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import UsageError
from harness.shards import plan as module
from harness.shards.plan import Plan, PlannedTest, harness_key, harness_name, read_plan, write_plan

if TYPE_CHECKING:
    from pathlib import Path

FIRST = (PlannedTest("test_a[stock]", "stock", 2.5), PlannedTest("test_b[stock]", "stock", 1.0))
SECOND = (PlannedTest("test_a[debug@dram]", "debug@dram", 3.0),)
PLAN = Plan("0123456789abcdef", "97efce3", ("stock", "debug@dram"), (FIRST, SECOND), 7)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    found = read_plan(tmp_path / "plan.json")
    assert found == PLAN
    assert found.key == PLAN.key
    assert found.shard(2) == SECOND


def test_another_plan_has_another_key() -> None:
    assert replace(PLAN, shards=(SECOND, FIRST)).key != PLAN.key


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_shard_that_there_is_not(number: int) -> None:
    with pytest.raises(UsageError, match=f"shards 1 to 2, and no {number}"):
        PLAN.shard(number)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"shards": None},
        {"shards": [[{"id": "a", "kernel": "stock", "seconds": "long"}]]},
        {"kernels": [1]},
        {"kernels": ["stock"]},
        {"no_such": 1},
    ],
)
def test_a_damaged_plan(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "plan.json"
    write_plan(PLAN, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError) as caught:
        read_plan(path)
    assert "\n" not in str(caught.value)
    assert "is no plan" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "plan", "\xff"])
def test_a_file_that_is_no_plan(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="is no plan"):
        read_plan(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_plan(tmp_path / "other.json")
    with pytest.raises(UsageError, match="cannot be written"):
        write_plan(PLAN, tmp_path / "no" / "plan.json")


def test_the_harness_is_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("guest/lib", "tests/validation"):
        (tmp_path / name).mkdir(parents=True)
    probe = tmp_path / "guest/lib/probe.c"
    probe.write_text("one")
    monkeypatch.setattr(module, "resources", lambda: tmp_path)
    first = harness_key.__wrapped__()
    (tmp_path / "tests/validation/__pycache__").mkdir()
    (tmp_path / "tests/validation/__pycache__/x.pyc").write_text("compiled")
    assert harness_key.__wrapped__() == first
    probe.write_text("two")
    second = harness_key.__wrapped__()
    probe.rename(tmp_path / "guest/lib/other.c")
    assert len({first, second, harness_key.__wrapped__()}) == 3


def test_the_harness_has_a_name() -> None:
    assert harness_name()


def test_a_host_without_git_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/none")
    assert harness_name() == importlib.metadata.version("mte-harness")
