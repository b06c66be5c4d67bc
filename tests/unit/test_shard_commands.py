# SPDX-License-Identifier: MIT
"""``plan``, ``shard`` and ``merge`` with a pytest that is played; tests/system has the real one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from harness.core import errors
from harness.core.errors import HarnessError, UsageError
from harness.jobs import command_line
from harness.report import json_file
from harness.shards.plan import Plan, PlannedTest, harness_key, read_plan, write_plan
from harness.suite.report_files import REPORT
from tests.unit.report_sample import good_report, sample_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.conftest import Shim

    Calls = Callable[[], list[str]]

WHOLE = good_report()
TESTS = tuple(PlannedTest(test.id, "stock", 1.0) for test in WHOLE.tests)
PLAN = Plan(harness_key(), "97efce3", ("stock", "debug"), (TESTS[:6], TESTS[6:]))


def run(*words: object) -> int:
    """Run a command; return its exit status. An error of the harness is raised."""
    done = CliRunner().invoke(command_line.cli, list(map(str, words)), standalone_mode=False)
    if isinstance(done.exception, HarnessError):
        raise done.exception
    assert done.exception is None, done.output
    return done.return_value or 0


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    write_plan(PLAN, tmp_path / "plan.json")
    return tmp_path / "plan.json"


@pytest.fixture
def pytest_plays(tmp_path: Path, shim: Shim) -> Callable[..., None]:
    """Return what makes the next pytest leave a part of the sample's report, or none."""

    def plays(number: int | None, status: int = 0) -> None:
        if number is None:
            shim("setpriv", f"exit {status}")
            return
        wanted = {test.id for test in PLAN.shards[number - 1]}
        tests = tuple(test for test in WHOLE.tests if test.id in wanted)
        json_file.write(replace(WHOLE, tests=tests), tmp_path / "made.json")
        shim("setpriv", f"cp {tmp_path}/made.json {tmp_path}/s{number}/{REPORT}; exit {status}")

    return plays


def test_shards_and_their_merge(
    tmp_path: Path, plan: Path, pytest_plays: Callable[..., None], calls: Calls
) -> None:
    for number in (1, 2):
        pytest_plays(number)
        assert run("shard", plan, number, "--output", tmp_path / f"s{number}", "-n", 1) == 0
    parts = (tmp_path / "s1", tmp_path / "s2")
    assert run("merge", *parts, "--plan", plan, "--report", tmp_path / "whole") == 0
    report = json_file.read(tmp_path / "whole" / REPORT)
    assert {test.id for test in report.tests} == {test.id for test in WHOLE.tests}
    # pytest gets the ids of the shard, and all kernels of the plan: ids depend on them.
    words = calls()[0].split()
    assert [word.split("/tests/")[1] for word in words if "::" in word] == [
        test.id.removeprefix("tests/") for test in PLAN.shards[0]
    ]
    assert "--kernel stock --kernel debug" in calls()[0]


def test_a_shard_that_pytest_ends_before_any_test(
    tmp_path: Path, plan: Path, pytest_plays: Callable[..., None]
) -> None:
    full = errors.DiskFullError.status
    pytest_plays(None, full)
    assert run("shard", plan, 2, "--output", tmp_path / "s2") == full
    pytest_plays(1)
    run("shard", plan, 1, "--output", tmp_path / "s1")
    parts = (tmp_path / "s1", tmp_path / "s2")
    assert run("merge", *parts, "--plan", plan, "--report", tmp_path / "whole") == full
    holes = json_file.read(tmp_path / "whole" / REPORT).holes
    assert [hole.kind for hole in holes] == ["trouble", "no result"]
    assert f"ended with status {full}" in holes[0].text


def test_an_error_before_pytest_is_in_the_shard_s_report(
    tmp_path: Path, plan: Path, pytest_plays: Callable[..., None]
) -> None:
    pytest_plays(None, 4)
    with pytest.raises(UsageError, match="pytest refuses"):
        run("shard", plan, 2, "--output", tmp_path / "s2")
    report = json_file.read(tmp_path / "s2" / REPORT)
    assert "pytest refuses" in report.errors[0]
    assert report.shards[0].status == errors.UsageError.status
    assert not report.good


def test_another_mte_harness_runs_no_shard(tmp_path: Path, plan: Path, calls: Calls) -> None:
    write_plan(replace(PLAN, harness="f" * 16), plan)
    with pytest.raises(UsageError, match="made by another mte-harness: 97efce3"):
        run("shard", plan, 1, "--output", tmp_path / "s1")
    assert not calls()
    assert not (tmp_path / "s1").exists()


def test_an_earlier_report_does_not_speak_for_a_shard(
    tmp_path: Path, plan: Path, shim: Shim
) -> None:
    (tmp_path / "s1").mkdir()
    json_file.write(WHOLE, tmp_path / "s1" / REPORT)
    shim("setpriv", f"[ ! -e {tmp_path}/s1/{REPORT} ] && exit 162; exit 0")
    assert run("shard", plan, 1, "--output", tmp_path / "s1") == 162


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"schema": 1})])
def test_a_damaged_part_is_named(tmp_path: Path, plan: Path, text: str) -> None:
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / REPORT).write_text(text)
    status = run("merge", tmp_path / "s1", "--plan", plan, "--report", tmp_path / "whole")
    assert status == HarnessError.status
    holes = json_file.read(tmp_path / "whole" / REPORT).holes
    assert [hole.kind for hole in holes] == ["foreign", "missing", "missing"]


def test_the_report_goes_to_no_shard_s_directory(tmp_path: Path, plan: Path) -> None:
    (tmp_path / "s1").mkdir()
    json_file.write(WHOLE, tmp_path / "s1" / REPORT)
    with pytest.raises(UsageError, match="is the directory of a shard"):
        run("merge", tmp_path / "s1", "--plan", plan, "--report", tmp_path / "s1")
    assert json_file.read(tmp_path / "s1" / REPORT) == WHOLE


def listing(tests: tuple[PlannedTest, ...]) -> str:
    found = [{"id": test.id, "kernel": test.kernel} for test in tests]
    return json.dumps({"tests": found, "left_out": 5})


def test_plan(tmp_path: Path, shim: Shim, calls: Calls) -> None:
    (tmp_path / "listing").write_text(listing(TESTS))
    take = 'while [ "$1" != --listing ]; do shift; done'
    shim("setpriv", f'{take}; cp {tmp_path}/listing "$2"')
    (tmp_path / "earlier").mkdir()
    json_file.write(sample_report(), tmp_path / "earlier" / REPORT)
    words = ["plan", "stock", "stock", "--shards", 3, "-k", "swap", "-o", tmp_path / "plan.json"]
    assert run(*words, "--report", tmp_path / "earlier") == 0
    plan = read_plan(tmp_path / "plan.json")
    assert plan.kernels == ("stock",)
    assert plan.left_out == 5
    assert {test.id for shard in plan.shards for test in shard} == {test.id for test in TESTS}
    assert len({test.seconds for shard in plan.shards for test in shard}) > 1
    assert " --collect-only " in calls()[0]
    assert " -k swap " in calls()[0]
    first = (tmp_path / "plan.json").read_bytes()
    assert run(*words, "--report", tmp_path / "earlier") == 0
    assert (tmp_path / "plan.json").read_bytes() == first


def test_a_kernel_on_disk_has_its_whole_path(
    tmp_path: Path, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = f"{tmp_path}/Image@dram"
    listed = tuple(replace(test, kernel=image) for test in TESTS)
    (tmp_path / "listing").write_text(listing(listed))
    take = 'while [ "$1" != --listing ]; do shift; done'
    shim("setpriv", f'{take}; cp {tmp_path}/listing "$2"')
    (tmp_path / "Image").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert run("plan", "./Image@dram", "--shards", 1, "-o", "plan.json") == 0
    assert read_plan(tmp_path / "plan.json").kernels == (image,)


def test_a_list_that_pytest_does_not_give(tmp_path: Path, shim: Shim) -> None:
    shim("setpriv", "exit 5")
    with pytest.raises(UsageError, match="fits -k 'no_such'"):
        run("plan", "stock", "--shards", 1, "-k", "no_such", "-o", tmp_path / "plan.json")
    shim("setpriv", "exit 3")
    with pytest.raises(HarnessError, match="pytest cannot list the suite"):
        run("plan", "stock", "--shards", 1, "-o", tmp_path / "plan.json")
    assert not (tmp_path / "plan.json").exists()


def test_a_bundle_of_a_kernel_that_the_plan_lacks(tmp_path: Path, plan: Path) -> None:
    with pytest.raises(UsageError, match=r"has no kernel 7\.3 \(it has: stock, debug\)"):
        run("bundle", plan, "--kernel", "7.3", "--output", tmp_path / "bundle")
