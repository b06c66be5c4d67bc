# SPDX-License-Identifier: MIT
"""The child pytest of `mte-harness validate`: its command line and its exit status."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.errors import ArtifactError, UsageError
from harness.jobs.run_suite import run_suite, worst_status
from harness.kernel import Series
from harness.kernel.build_options import PLAIN, BuildOptions
from harness.report import json_file
from harness.suite.plugin import VALIDATION
from harness.suite.report_files import REPORT
from harness.verdict.result import Reason, Status
from tests.unit.report_sample import good_report, sample_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.report.model import Report
    from tests.unit.conftest import Shim

    Calls = Callable[[], list[str]]


KILLED = Reason(Status.ERROR, "QEMU was killed", (), errors.QemuDiedError.status)


def run(
    tmp_path: Path,
    kernels: tuple[str, ...],
    machine_name: str | None = None,
    *,
    expression: str | None = None,
    workers: int = 1,
    options: BuildOptions = PLAIN,
) -> int:
    return run_suite(
        kernels,
        machine_name,
        report=tmp_path / "report",
        expression=expression,
        workers=workers,
        qemu_binary=None,
        options=options,
    )


@pytest.mark.parametrize(
    ("ended", "status"),
    [(2, errors.INTERRUPTED), (3, errors.INTERNAL), (162, 162), (6, errors.INTERNAL)],
)
def test_status_of_a_pytest_that_made_no_report(
    tmp_path: Path, shim: Shim, ended: int, status: int
) -> None:
    shim("setpriv", f"exit {ended}")
    assert run(tmp_path, ("stock",)) == status


@pytest.mark.parametrize(
    ("ended", "said"), [(4, "refuses the command line"), (5, "fits -k 'no_such'")]
)
def test_a_selection_that_pytest_refuses(tmp_path: Path, shim: Shim, ended: int, said: str) -> None:
    shim("setpriv", f"exit {ended}")
    with pytest.raises(UsageError, match=said):
        run(tmp_path, ("stock",), expression="no_such")


@pytest.mark.parametrize(
    ("made", "ended", "status"),
    [
        (good_report(), 0, errors.OK),
        (good_report(), 1, errors.INTERNAL),
        (sample_report(), 1, errors.GUEST_LOST),
    ],
    ids=["good", "a_failure_is_not_in_the_report", "bad"],
)
def test_status_of_a_report(
    tmp_path: Path, shim: Shim, made: Report, ended: int, status: int
) -> None:
    json_file.write(made, tmp_path / "made.json")
    report = tmp_path / "report"
    shim("setpriv", f"mkdir -p {report}; cp {tmp_path}/made.json {report}/{REPORT}; exit {ended}")
    assert run(tmp_path, ("stock",)) == status


def ended(*reasons: Reason) -> Report:
    """Return a report of one test for each reason."""
    report = good_report()
    result = replace(report.tests[0].result, status=Status.ERROR)
    tests = [
        replace(report.tests[0], result=replace(result, status=reason.status, reasons=(reason,)))
        for reason in reasons
    ]
    return replace(report, tests=tuple(tests))


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ([Reason(Status.ERROR, "not run")], errors.PROGRAM_FAILED),
        ([Reason(Status.ERROR, "not run"), KILLED], errors.QemuDiedError.status),
        ([KILLED, Reason(Status.ERROR, "not run")], errors.QemuDiedError.status),
        ([KILLED, Reason(Status.FAIL, "tags")], errors.PROGRAM_FAILED),
        ([Reason(Status.LOST, "silent", (), errors.BOOT_FAILED)], errors.BOOT_FAILED),
    ],
)
def test_host_trouble_keeps_its_exit_status(reasons: list[Reason], status: int) -> None:
    assert worst_status(ended(*reasons)) == status


def test_an_earlier_report_does_not_speak_for_this_run(tmp_path: Path, shim: Shim) -> None:
    (tmp_path / "report").mkdir()
    json_file.write(good_report(), tmp_path / "report" / REPORT)
    shim("setpriv", "exit 0")
    with pytest.raises(ArtifactError):
        run(tmp_path, ("stock",))


def test_pytest_runs_in_the_user_s_directory(
    tmp_path: Path, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A KERNEL may be a relative path."""
    monkeypatch.chdir(tmp_path)
    shim("setpriv", f"pwd > {tmp_path}/pwd; exit 3")
    run(tmp_path, ("./linux",))
    assert (tmp_path / "pwd").read_text() == f"{tmp_path}\n"


def test_command_line(tmp_path: Path, shim: Shim, calls: Calls) -> None:
    shim("setpriv", "exit 3")
    run(tmp_path, ("stock", "./linux@dram"), "dram", expression="cow_fork", workers=3)
    (call,) = calls()
    assert " --pdeathsig TERM -- " in call
    assert f" --report {tmp_path}/report " in call
    assert " --machine dram --kernel stock --kernel ./linux@dram -k cow_fork -n 3 " in call
    assert call.split()[-1] == str(VALIDATION)


def test_how_the_sources_are_built(tmp_path: Path, shim: Shim, calls: Calls) -> None:
    shim("setpriv", "exit 3")
    given = BuildOptions("tree", (("KASAN", "y"), ("NAME", '"a b"')), llvm=True)
    run(tmp_path, ("./linux",), options=given)
    assert ' --kernel ./linux --config=tree --set=KASAN=y --set=NAME="a b" --llvm ' in calls()[0]


def test_series(tmp_path: Path, shim: Shim, calls: Calls) -> None:
    shim("setpriv", "exit 3")
    series = tuple(Series(tmp_path / name, ()) for name in ("a.mbox", "b.diff"))
    run(tmp_path, ("stock",), options=BuildOptions(series=series))
    (call,) = calls()
    assert f" --series={tmp_path}/a.mbox --series={tmp_path}/b.diff " in call


def test_a_report_that_cannot_be_written_is_an_error_of_usage(tmp_path: Path, shim: Shim) -> None:
    (tmp_path / "report").write_text("a file\n")
    shim("setpriv", "exit 0")
    with pytest.raises(UsageError, match=r"no report can be written to .*/report: File exists"):
        run(tmp_path, ("stock",))
    assert (tmp_path / "report").read_text() == "a file\n"
