# SPDX-License-Identifier: MIT
"""A night on a cluster: what each of its entries gets of the one report, and what is left out."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.history.night import COMES_UP, Run, State, load_night, load_run, night_files, run_files
from harness.jobs import command_line, exit_status, night_cluster
from harness.report.model import Report, ShardRecord
from harness.shards import slurm
from harness.shards.merge import Part, merge
from harness.shards.plan import Plan, PlannedTest
from tests.unit.report_sample import good_report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

KERNELS = ("debian:7.2", "debian:7.3")
MATRIX = """
[[entry]]
suite = "validation"
kernels = ["debian:7.2", "debian:7.3"]
estimate = "1m"
[[entry]]
suite = "validation"
kernels = ["debian:6.18"]
qemus = ["11.1"]
estimate = "1m"
[[entry]]
suite = "costs"
estimate = "1m"
"""


def report_of(kernel: str) -> Report:
    report = good_report()
    tests = tuple(
        replace(test, id=f"{test.id}-{kernel}", kernel=kernel, target=kernel)
        for test in report.tests
    )
    kernels = tuple(replace(used, name=kernel) for used in report.kernels)
    return replace(report, tests=tests, kernels=kernels)


REPORTS = {kernel: report_of(kernel) for kernel in KERNELS}
SHARDS = tuple(
    tuple(PlannedTest(test.id, kernel, 1.0) for test in report.tests)
    for kernel, report in REPORTS.items()
)
PLAN = Plan("0123456789abcdef", "97efce3", KERNELS, SHARDS)


@dataclasses.dataclass
class Slurm:
    """Stands for a cluster: shard N runs kernel N, and those in ``lost`` leave nothing."""

    lost: tuple[int, ...] = ()
    submitted: int = 0
    selected: list[str | None] = dataclasses.field(default_factory=list)
    stop: BaseException | None = None

    def plan(self, kernels: Sequence[str], shards: int, select: str | None, *_: object) -> Plan:
        assert shards == 5
        self.selected.append(select)
        assert tuple(kernels) == (("debian:6.18",) if select else KERNELS)
        return PLAN

    def submit(self, *_: object) -> dict[str, str]:
        self.submitted += 1
        return {"build-1": "7", "merge": "9"}

    def wait(self, directory: Path, ids: list[str]) -> Report:
        assert (directory.parent.name, ids) == ("slurm", ["7", "9"])
        if self.stop:
            stop, self.stop = self.stop, None
            raise stop
        parts = []
        for number, report in enumerate(REPORTS.values(), 1):
            record = ShardRecord(PLAN.key, number, 2, PLAN.harness, PLAN.commit, "node", 0)
            there = None if number in self.lost else replace(report, shards=(record,))
            parts.append(Part(f"shards/{number}", there))
        return merge(parts, PLAN, "mte-harness merge")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    fake = Slurm()
    monkeypatch.setattr(night_cluster, "plan_suite", fake.plan)
    monkeypatch.setattr(night_cluster, "wait_for", fake.wait)
    monkeypatch.setattr(slurm, "submit", fake.submit)
    monkeypatch.setattr(exit_status, "unwind_on_sigterm", lambda: None)
    return fake


@pytest.fixture
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(matrix: str = MATRIX) -> int:
        (tmp_path / "m.toml").write_text(matrix)
        words = ["nightly", "--matrix", str(tmp_path / "m.toml"), "--results", str(tmp_path / "r")]
        words += ["--engine", "slurm", "--shards", "5", "--sbatch=--partition=short"]
        monkeypatch.setattr(sys, "argv", ["mte-harness", *words])
        with pytest.raises(SystemExit) as caught:
            command_line.main()
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return run


def runs(tmp_path: Path) -> dict[str, Run]:
    return {run.kernel: run for run in map(load_run, run_files(tmp_path / "r"))}


def test_each_entry_has_its_own_tests(
    cluster: Slurm, nightly: Callable[..., int], tmp_path: Path
) -> None:
    assert nightly() == errors.OK
    found = runs(tmp_path)
    assert set(found) == set(KERNELS)
    for kernel, run in found.items():
        assert {test.kernel for test in run.tests} == {kernel}
        assert len(run.tests) == len(REPORTS[kernel].tests) + 1
        assert run.tests[0].test == COMES_UP
        assert run.whole
        assert [used.name for used in run.kernels] == [kernel]
        assert (tmp_path / "r" / run.report).is_file()
    assert cluster.submitted == 1
    script = next((tmp_path / "r/nights").glob("*/slurm/1/shards-1.sh")).read_text()
    assert "mte-harness shard" in script


def test_what_a_cluster_does_not_run_is_named(
    cluster: Slurm, nightly: Callable[..., int], tmp_path: Path
) -> None:
    nightly()
    night = load_night(night_files(tmp_path / "r")[0])
    out = {entry.entry: entry.left_out for entry in night.entries if entry.left_out}
    assert set(out) == {"validation debian:6.18 QEMU 11.1", "costs"}
    assert set(out.values()) == {night_cluster.ELSEWHERE}


def test_each_selection_is_a_plan_of_its_own(
    cluster: Slurm, nightly: Callable[..., int], tmp_path: Path
) -> None:
    more = '[[entry]]\nsuite = "validation"\nkernels = ["debian:6.18"]\nselect = "smoke"\n'
    nightly(MATRIX + more + 'estimate = "1m"\n')
    assert cluster.selected == [None, "smoke"]
    assert set(runs(tmp_path)) == {*KERNELS, "debian:6.18"}


def test_a_lost_shard_cuts_short_its_own_kernel_only(
    cluster: Slurm, nightly: Callable[..., int], tmp_path: Path
) -> None:
    nightly()
    cluster.lost = (2,)
    assert errors.is_host_trouble(nightly())
    old, new = (runs(tmp_path)[kernel] for kernel in KERNELS)
    assert old.whole
    assert not new.whole
    assert "shard 2 of 2 is missing" in new.errors[0]
    # What did not run has not disappeared: no test of it is called so.
    assert not [test for test in new.tests if test.state is not State.PASS]


def test_an_interrupted_night_waits_for_the_jobs_that_it_submitted(
    cluster: Slurm, nightly: Callable[..., int], tmp_path: Path
) -> None:
    cluster.stop = KeyboardInterrupt()
    assert nightly() == errors.INTERRUPTED
    assert not runs(tmp_path)
    assert nightly() == errors.OK
    assert cluster.submitted == 1
    assert set(runs(tmp_path)) == set(KERNELS)


def test_a_damaged_list_of_jobs(
    cluster: Slurm, nightly: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.stop = KeyboardInterrupt()
    nightly()
    (jobs,) = (tmp_path / "r").glob("nights/*/slurm/1/jobs.json")
    jobs.write_text('{"7": 1}')
    assert nightly() == 170
    assert "has no list of jobs" in capsys.readouterr().err


def test_a_matrix_of_which_a_cluster_runs_nothing(
    cluster: Slurm, nightly: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly('[[entry]]\nsuite = "costs"\nestimate = "1m"\n') == errors.UsageError.status
    assert night_cluster.ELSEWHERE in capsys.readouterr().err
    assert not cluster.submitted
