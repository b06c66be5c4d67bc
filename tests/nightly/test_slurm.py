# SPDX-License-Identifier: MIT
"""A plan on Slurm's real daemons, as a cluster of two nodes on this host. Needs root and Slurm.

``scripts/test tests/nightly/test_slurm.py`` installs Debian's packages of it.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from harness.history.night import State, load_run, run_files
from harness.jobs.night_cluster import ELSEWHERE
from harness.report import json_file
from harness.shards import slurm
from harness.shards.loopback_cluster import LoopbackCluster
from harness.shards.plan import Plan, PlannedTest, harness_key, read_plan
from harness.suite.report_files import REPORT
from tests.support.command import COMMAND
from tests.support.emulators import emulators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.report.model import Report
    from harness.suite.session import Session

    Cli = Callable[..., subprocess.CompletedProcess[str]]

PROBES = "cow_fork or fault_siginfo or zero_anon or swap_disk"
LONG = 1800.0  # seconds; the host may be loaded


@pytest.fixture
def cluster(harness_session: Session) -> Iterator[LoopbackCluster]:
    before = emulators()
    with LoopbackCluster(2) as found:
        yield found
    assert not found.directory.exists()
    assert emulators() <= before


def results(report: Report) -> dict[str, tuple[str, int]]:
    """Return what must be the same wherever tests run: verdicts, and how many cases."""
    return {test.id: (test.status.value, len(test.result.cases)) for test in report.tests}


def until(what: Callable[[], object], seconds: float = LONG) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_node_that_is_lost_changes_no_result(
    cluster: LoopbackCluster, cli: Cli, tmp_path: Path
) -> None:
    def ran(*words: str) -> None:
        done = cli(*words, timeout=LONG)
        assert done.returncode == 0, done.stdout + done.stderr

    plan, one = tmp_path / "plan.json", tmp_path / "one"
    ran("validate", "debian:7.3", "-k", PROBES, "--report", str(one))
    ran("plan", "debian:7.3", "--shards", "3", "-k", PROBES, "-o", str(plan))
    run = tmp_path / "run"
    words = ["slurm", str(plan), str(run), "--wait", "-n", "1"]
    words += ["--cache", f"{tmp_path}/cache-$SLURMD_NODENAME"]
    with subprocess.Popen([COMMAND, *words], env=cluster.environment) as child:
        lost = cluster.nodes[-1]
        # Its shard has begun: a guest of it runs, or is about to.
        until((tmp_path / f"cache-{lost}" / "templates").is_dir)
        cluster.switch_off(lost)
        assert child.wait(timeout=LONG) == 0
    merged = json_file.read(run / "report" / REPORT)
    assert results(merged) == results(json_file.read(one / REPORT))
    assert len(merged.tests) == len(PROBES.split(" or "))
    assert merged.good
    assert len(merged.shards) == 3
    # What the lost node had begun began again, on the other one.
    logs = [log.read_text() for log in (run / "logs").glob("shards-1.*")]
    (again,) = [text for text in logs if "try 2" in text]
    assert f"on {lost}, try 1\n" in again
    assert f"on {cluster.nodes[0]}, try 2\n" in again
    # A node needs no source of the kernel, and no download of it.
    for node in cluster.nodes:
        assert not {"downloads", "sources", "tarballs"} & {
            path.name for path in (tmp_path / f"cache-{node}").iterdir()
        }


def test_a_night_on_the_cluster(cluster: LoopbackCluster, cli: Cli, tmp_path: Path) -> None:
    matrix, results = tmp_path / "m.toml", tmp_path / "nights"
    matrix.write_text(
        '[[entry]]\nsuite = "validation"\nkernels = ["debian:7.3"]\nestimate = "1m"\n'
        f'select = "{PROBES}"\n[[entry]]\nsuite = "costs"\nestimate = "1m"\n'
    )
    words = ["nightly", "--matrix", str(matrix), "--results", str(results), "--engine", "slurm"]
    words += ["--shards", "2", "--cache", f"{tmp_path}/cache-$SLURMD_NODENAME"]
    done = subprocess.run(
        [COMMAND, *words], env=cluster.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = map(load_run, run_files(results))
    assert run.whole
    assert {test.state for test in run.tests} == {State.PASS}
    assert len(run.tests) == len(PROBES.split(" or ")) + 1
    assert ELSEWHERE in done.stdout


def played(directory: Path, *, bundle: int = 0, shard: str = "exit 0") -> str:
    """Return a stand-in for mte-harness, which notes its calls."""
    path = directory / "played"
    path.write_text(
        f'#!/bin/sh\necho "$*" >> {directory}/calls\n'
        f"case $1 in\nbundle) exit {bundle} ;;\nshard) {shard} ;;\nesac\n"
    )
    path.chmod(0o755)
    return str(path)


def run_played(
    cluster: LoopbackCluster, directory: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> list[str]:
    """Run a plan of two shards with a stand-in for mte-harness; return its calls by sub-command."""
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    tests = tuple((PlannedTest(f"test_{n}", "stock", 1.0),) for n in (1, 2))
    plan = Plan(harness_key(), "", ("stock",), tests)
    run = directory / "run"
    request = slurm.Request(run, command, workers=1, tries=1)
    ids = list(slurm.submit(slurm.write_jobs(plan, request), run).values())
    until(lambda: not slurm.states(ids), 120)
    assert read_plan(run / slurm.PLAN) == plan
    return (directory / "calls").read_text().splitlines()


def of(calls: list[str], word: str) -> list[str]:
    return [call for call in calls if call.startswith(word)]


def test_host_trouble_is_tried_again_a_few_times(
    cluster: LoopbackCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Shard 1 meets trouble each time, shard 2 finds a bug of the kernel.
    command = played(tmp_path, shard='[ "$3" = 1 ] && exit 172; exit 1')
    calls = run_played(cluster, tmp_path, monkeypatch, command)
    assert [call.split()[2] for call in of(calls, "shard")].count("1") == 2
    assert [call.split()[2] for call in of(calls, "shard")].count("2") == 1
    assert calls[0].startswith("bundle")
    assert calls[-1].startswith("merge")


def test_a_kernel_that_does_not_build_has_no_shards(
    cluster: LoopbackCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = run_played(cluster, tmp_path, monkeypatch, played(tmp_path, bundle=125))
    assert [call.split()[0] for call in calls] == ["bundle", "merge"]
