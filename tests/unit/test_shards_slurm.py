# SPDX-License-Identifier: MIT
"""The jobs of a plan for Slurm, without Slurm. tests/nightly/test_slurm.py runs them on it."""

from __future__ import annotations

import platform
import shlex
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from harness.core import errors
from harness.core.errors import HarnessError, UsageError
from harness.jobs import command_line, slurm_command
from harness.report import json_file
from harness.shards import slurm
from harness.shards.plan import Plan, PlannedTest, harness_key, read_plan, write_plan
from harness.shards.slurm import Job, Request
from harness.suite.report_files import REPORT, make_directory
from tests.unit.report_sample import sample_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.conftest import Shim

    Calls = Callable[[], list[str]]

STOCK, DEBUG = (PlannedTest(f"test_{name}", name, 1.0) for name in ("stock", "debug"))
PLAN = Plan(harness_key(), "", ("stock", "debug"), ((STOCK,), (STOCK, DEBUG), (STOCK,)))


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    directory = tmp_path / "a 'run' of $HOME"
    return Request(directory, str(tmp_path / "shims/mte-harness"), cache="/scratch/$WHO/mte")


def named(jobs: tuple[Job, ...], name: str) -> Job:
    (job,) = [job for job in jobs if job.name == name]
    return job


def test_a_shard_waits_for_its_own_kernels(request_: Request) -> None:
    jobs = slurm.jobs(PLAN, request_)
    assert [(job.name, job.when, job.after) for job in jobs] == [
        ("build-1", "", ()),
        ("build-2", "", ()),
        ("shards-1", "afterok", ("build-1",)),
        ("shards-2", "afterok", ("build-2", "build-1")),
        ("merge", "afterany", ("shards-1", "shards-2")),
    ]
    assert "--array=1,3" in named(jobs, "shards-1").words
    assert "--array=2" in named(jobs, "shards-2").words


def run(request_: Request, name: str, **variables: str) -> int:
    """Run the script of a job with a shell, as Slurm does; return its exit status."""
    slurm.write_jobs(PLAN, request_)
    script = request_.directory / f"{name}.sh"
    given = {"PATH": f"{request_.command.rpartition('/')[0]}:/usr/bin:/bin", **variables}
    return subprocess.run(["/bin/sh", str(script)], env=given, check=False).returncode


ARRAY = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "WHO": "me"}


def test_what_a_shard_runs(request_: Request, shim: Shim, calls: Calls, tmp_path: Path) -> None:
    shim("mte-harness", f"echo $MTE_HARNESS_CACHE > {tmp_path}/cache; exit 1")
    assert run(request_, "shards-1", **ARRAY) == 1
    here = request_.directory
    assert calls() == [
        f"mte-harness shard {here}/plan.json 3 --output {here}/shards/3 --bundle {here}/bundle -n 2"
    ]
    assert (tmp_path / "cache").read_text() == "/scratch/me/mte\n"


def test_what_builds_and_merge_run(request_: Request, shim: Shim, calls: Calls) -> None:
    shim("mte-harness", "exit 0")
    assert run(request_, "build-2") == 0
    (request_.directory / slurm.PLAN).unlink()
    assert run(request_, "merge") == 0
    here = request_.directory
    built, merged = calls()
    assert built == f"mte-harness bundle {here}/plan.json --kernel debug --output {here}/bundle"
    words = f"mte-harness merge --plan {here}/plan.json --report {here}/report"
    assert merged == f"{words} shards/1 shards/2 shards/3"


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (errors.DiskFullError.status, True),
        (errors.QemuDiedError.status, True),
        (errors.NetworkError.status, True),
        (errors.ArtifactError.status, True),
        (errors.HarnessError.status, True),
        (errors.OK, False),
        (errors.PROGRAM_FAILED, False),
        (errors.KERNEL_SPLAT, False),
        (errors.GUEST_LOST, False),
        (errors.BOOT_FAILED, False),
        (errors.CANNOT_BUILD, False),
        (errors.UNTESTED, False),
        (errors.UsageError.status, False),
        (errors.INTERNAL, False),
    ],
)
def test_host_trouble_asks_for_another_try(
    request_: Request, shim: Shim, calls: Calls, status: int, *, again: bool
) -> None:
    shim("mte-harness", f"exit {status}")
    shim("scontrol", "exit 0")
    shim("sleep", "exit 0")
    assert run(request_, "shards-1", **ARRAY) == status
    assert ("scontrol requeue 7_3" in calls()) is again


def test_it_is_not_tried_for_ever(
    request_: Request, shim: Shim, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    shim("mte-harness", f"exit {errors.QemuDiedError.status}")
    shim("scontrol", "exit 0")
    assert run(request_, "shards-1", **ARRAY, SLURM_RESTART_COUNT="2") == 172
    assert len(calls()) == 1
    assert f"on {platform.node()}, try 3\n" in capfd.readouterr().out


def test_submission(request_: Request, shim: Shim, calls: Calls) -> None:
    shim("sbatch", 'case "$*" in *build-1*) echo "11;loopback" ;; *) echo 12 ;; esac')
    jobs = slurm.write_jobs(PLAN, request_)
    ids = slurm.submit(jobs, request_.directory)
    assert ids["build-1"] == "11"
    lines = calls()
    assert "--dependency=afterok:11 " in lines[2]
    assert "--dependency=afterany:12:12 " in lines[-1]
    assert all("--requeue --kill-on-invalid-dep=yes" in line for line in lines)


def test_what_was_submitted_is_cancelled_with_the_rest(
    request_: Request, shim: Shim, calls: Calls
) -> None:
    shim("sbatch", 'case "$*" in *shards-1*) echo "no partition" >&2; exit 1 ;; esac; echo 5')
    shim("scancel", "exit 0")
    jobs = slurm.write_jobs(PLAN, request_)
    with pytest.raises(HarnessError, match="sbatch refuses shards-1: no partition"):
        slurm.submit(jobs, request_.directory)
    assert calls()[-1] == "scancel 5 5"


def test_results_of_another_run_are_kept(request_: Request) -> None:
    slurm.write_jobs(PLAN, request_)
    with pytest.raises(UsageError, match="has a plan already"):
        slurm.write_jobs(PLAN, request_)


def test_a_dry_run_prints_what_would_be_submitted(tmp_path: Path, shim: Shim, calls: Calls) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    words = ["slurm", str(tmp_path / "plan.json"), str(tmp_path / "run"), "--dry-run"]
    done = CliRunner().invoke(command_line.cli, [*words, "--sbatch", "--partition=arm"])
    assert done.exit_code == 0, done.output
    assert read_plan(tmp_path / "run" / "plan.json") == PLAN
    shim("sbatch", "echo 5")
    # The lines are a script that does the same.
    subprocess.run(["/bin/sh", "-e", "-c", done.output], check=True)
    lines = calls()
    assert len(lines) == 5
    assert all("--partition=arm" in shlex.split(line) for line in lines)
    assert "--dependency=afterany:5:5 " in lines[-1]


def test_a_plan_of_another_mte_harness_is_not_submitted(
    tmp_path: Path, shim: Shim, calls: Calls
) -> None:
    write_plan(replace(PLAN, harness="f" * 16, commit="97efce3"), tmp_path / "plan.json")
    shim("sbatch", "echo 5")
    words = ["slurm", str(tmp_path / "plan.json"), str(tmp_path / "run")]
    done = CliRunner().invoke(command_line.cli, words, standalone_mode=False)
    assert "made by another mte-harness: 97efce3" in str(done.exception)
    assert not calls()
    assert not (tmp_path / "run").exists()


def test_jobs_that_have_not_ended(shim: Shim) -> None:
    shim("squeue", "echo '7_[2-3] PENDING '; echo '7_1 RUNNING n1'")
    assert slurm.states(["7"]) == {"7_[2-3]": "PENDING ", "7_1": "RUNNING n1"}
    shim("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert slurm.states(["7"]) == {}
    shim("squeue", "echo 'no controller' >&2; exit 1")
    with pytest.raises(HarnessError, match="no controller"):
        slurm.states(["7"])


@pytest.mark.parametrize("report", [True, False])
def test_waiting_for_the_report(
    tmp_path: Path, shim: Shim, monkeypatch: pytest.MonkeyPatch, *, report: bool
) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    run = tmp_path / "run"
    if report:
        json_file.write(sample_report(), make_directory(run / slurm.REPORT) / REPORT)
    shim("sbatch", "echo 5")
    # Slurm does not answer, then a job is pending, then all have ended.
    shim(
        "squeue",
        f"echo >> {tmp_path}/n; case $(wc -l < {tmp_path}/n) in\n"
        "1) echo down >&2; exit 1 ;;\n2) echo '5 PENDING' ;;\nesac",
    )
    monkeypatch.setattr(slurm_command, "_EVERY", 0)
    words = ["slurm", str(tmp_path / "plan.json"), str(run), "--wait"]
    done = CliRunner().invoke(command_line.cli, words, standalone_mode=False)
    assert (tmp_path / "n").read_text().count("\n") == 3
    if report:
        assert done.return_value == errors.GUEST_LOST
    else:
        assert isinstance(done.exception, HarnessError)
        assert "left no report" in str(done.exception)


def test_a_slurm_that_never_answers(
    tmp_path: Path, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    shim("sbatch", "echo 5")
    shim("squeue", "echo down >&2; exit 1")
    monkeypatch.setattr(slurm_command, "_PATIENCE", 0)
    words = ["slurm", str(tmp_path / "plan.json"), str(tmp_path / "run"), "--wait"]
    done = CliRunner().invoke(command_line.cli, words, standalone_mode=False)
    assert str(done.exception) == "squeue: down"
