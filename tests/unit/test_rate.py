# SPDX-License-Identifier: MIT
"""Wrong failures counted: what one run gives, the record, its row, and the loads."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from harness.core import errors
from harness.core.errors import HarnessError, QemuDiedError, UsageError
from harness.jobs import figures, host_load, rate
from harness.jobs.rate import counts_of, rate_command, wrong
from harness.jobs.run_suite import worst_status
from harness.measure import records
from harness.measure.records import Host, Inputs, Record
from harness.report import json_file
from harness.suite.report_files import REPORT
from harness.verdict.result import ProbeResult, Reason, Status
from harness.vm.dram import available_memory
from tests.unit import report_sample

if TYPE_CHECKING:
    from harness.report.model import Report


def healthy() -> Report:
    tests = tuple(report_sample.record(f"probe_{n}", "swap", "stock", n) for n in range(4))
    kernels = report_sample.sample_report().kernels[:1]
    return replace(report_sample.sample_report(), tests=tests, kernels=kernels, errors=())


def changed(report: Report, number: int, **change: Any) -> Report:
    tests = list(report.tests)
    tests[number] = replace(tests[number], result=replace(tests[number].result, **change))
    return replace(report, tests=tuple(tests))


def test_counts_of_a_healthy_run() -> None:
    results = sum(len(test.result.cases) for test in healthy().tests)
    assert counts_of(healthy()) == {"runs": 1, "programs": 4, "results": results}
    assert not wrong(counts_of(healthy()))


@pytest.mark.parametrize(
    "status", [Status.FAIL, Status.SPLAT, Status.LOST, Status.ERROR, Status.UNTESTED]
)
def test_whatever_is_not_good_is_a_wrong_failure(status: Status) -> None:
    counts = counts_of(changed(healthy(), 1, status=status, reasons=(Reason(status, "x"),)))
    assert counts[f"wrong: probe_1: {status}"] == 1
    assert wrong(counts) == 1


def test_an_error_of_the_run_is_one() -> None:
    assert wrong(counts_of(replace(healthy(), errors=("no kernel",)))) == 1


def test_what_the_host_kept_from_running_is_no_wrong_failure() -> None:
    """A source that no mirror answers for, say: nothing was run, and the kernel is not at fault."""
    reason = Reason(Status.ERROR, "QEMU was killed", exit_status=QemuDiedError.status)
    counts = counts_of(changed(healthy(), 1, status=Status.ERROR, reasons=(reason,)))
    assert not wrong(counts)
    assert counts["could not run: probe_1"] == 1
    assert counts["programs"] == counts_of(healthy())["programs"] - 1


def test_a_case_that_needed_another_guest() -> None:
    counts = counts_of(changed(healthy(), 2, again={"a": 3, "b": 2}))
    assert (counts["again: probe_2::a"], counts["again: probe_2::b"]) == (1, 1)
    assert not wrong(counts)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Skipped: kernel stock has no CONFIG_X", "skipped: kernel stock has no CONFIG_X"),
        ("a: skipped, the CPU has no FEAT_MTE4: why", "skipped: the CPU has no FEAT_MTE4"),
        (
            "a: left out, the kernel is older than 6.8 (1234)",
            "skipped: left out, the kernel is older than 6.8 (1234)",
        ),
        ("known bug, fixed in 6.5 (1234): a", "known bugs"),
        ("known bug docs/findings/x.md: a", "known bugs"),
    ],
)
def test_skips_are_counted_by_what_is_lacking(text: str, name: str) -> None:
    counts = counts_of(changed(healthy(), 0, reasons=(Reason(Status.SKIP, text),)))
    assert counts[name] == 1
    assert not wrong(counts)


def test_a_test_that_was_skipped_ran_no_program() -> None:
    skipped = ProbeResult(Status.SKIP, (Reason(Status.SKIP, "kernel stock has no CONFIG_X"),))
    tests = list(healthy().tests)
    tests[0] = replace(tests[0], result=skipped)
    assert counts_of(replace(healthy(), tests=tuple(tests)))["programs"] == 3


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Report]:
    """Return the reports that the next runs of the suite write."""
    left: list[Report] = []

    def run_suite(kernels: list[str], machine: str | None, *, report: Path, **_: Any) -> int:
        written = left.pop(0)
        json_file.write(written, report / REPORT)
        return worst_status(written) if written.tests else errors.OK

    (tmp_path / "file").touch()
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(rate, "run_suite", run_suite)
    monkeypatch.setattr(rate, "prepare", lambda *_, **__: None)
    monkeypatch.setattr(rate, "checkout", lambda _: tmp_path)
    return left


def test_runs_leave_one_record(reports: list[Report], tmp_path: Path) -> None:
    reason = Reason(Status.FAIL, "a: page 3 granule 0: expected tag 5, saw 0")
    reports += [healthy(), changed(healthy(), 1, status=Status.FAIL, reasons=(reason,))]
    done = CliRunner().invoke(rate_command, ["stock", "--runs", "2"], standalone_mode=False)
    assert done.exception is None, done.output
    assert done.return_value == errors.PROGRAM_FAILED
    assert "run 2 is not good: wrong: probe_1: fail: " in done.output
    (kept,) = (tmp_path / "reports").iterdir()
    assert (kept / REPORT).is_file()
    (record,) = records.load_all(tmp_path).values()
    assert (record.kind, record.subject) == ("rate", "stock, idle, -n 2")
    assert record.counts["runs"] == 2
    assert record.counts["programs"] == 8
    assert record.counts["wrong: probe_1: fail"] == 1
    assert record.notes == ("probe_1: a: page 3 granule 0: expected tag 5, saw 0",)


def test_a_healthy_kernel_gives_status_0(reports: list[Report], tmp_path: Path) -> None:
    reports += [healthy()]
    done = CliRunner().invoke(rate_command, ["stock"], standalone_mode=False)
    assert (done.exception, done.return_value) == (None, errors.OK)
    assert not (tmp_path / "reports").exists()


def test_trouble_of_the_host_is_not_a_wrong_failure_s_status(reports: list[Report]) -> None:
    reason = Reason(Status.ERROR, "QEMU was killed", exit_status=errors.QemuDiedError.status)
    reports += [changed(healthy(), 1, status=Status.ERROR, reasons=(reason,)), healthy()]
    done = CliRunner().invoke(rate_command, ["stock", "--runs", "2"], standalone_mode=False)
    assert (done.exception, done.return_value) == (None, errors.QemuDiedError.status)


def test_no_program_is_no_rate(reports: list[Report]) -> None:
    reports += [replace(healthy(), tests=())]
    done = CliRunner().invoke(rate_command, ["stock"], standalone_mode=False)
    assert isinstance(done.exception, HarnessError)


def test_the_row_of_a_kernel() -> None:
    def of(day: int, counts: dict[str, int], inputs: str) -> Record:
        return Record(
            kind="rate",
            subject="7.3, idle, -n 2",
            date=f"2026-12-{day:02}T00:00:00Z",
            host=Host("Xeon", 2, 24105, "Debian", "6.18.44", 0.5),
            commit=f"{day:07}" + 33 * "0",
            dirty=False,
            command="mte-harness rate 7.3",
            inputs=Inputs({"guest/lib": inputs}),
            seconds=60.0,
            counts=counts,
        )

    page = figures.render(
        {
            "a": of(1, {"runs": 1, "programs": 90, "results": 800, "wrong: x: fail": 1}, "old"),
            "b": of(2, {"runs": 1, "programs": 92, "results": 801, "known bugs": 7}, "new"),
            "c": of(3, {"runs": 2, "programs": 184, "results": 1602, "known bugs": 14,
                        "skipped: no CONFIG_X": 6, "again: x::y": 1}, "new"),
        }
    )  # fmt: skip
    row = "| 7.3, idle, -n 2 | 3 | 276 | 2403 | 0 | 0 | 1 | 7 | 0000002, 0000003 | 366 | 1 |"
    assert row in page
    assert "* 7.3, idle, -n 2: wrong: x: fail (1 in 1 runs, 0000001)." in page
    assert "* 7.3, idle, -n 2: again: x::y (1 in 3 runs, 0000002, 0000003)." in page
    assert "* 7.3, idle, -n 2: skipped in a run: 2 for no CONFIG_X." in page


def test_half_of_the_cpus() -> None:
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        with host_load.host_load("half"):
            assert len(os.sched_getaffinity(0)) == len(before) // 2
    assert os.sched_getaffinity(0) == before


def test_one_cpu_has_no_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with pytest.raises(UsageError, match="no half"), host_load.host_load("half"):
        pass


def test_memory_is_held_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked_mib() -> int:
        lines = Path("/proc/meminfo").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("Mlocked:"))
        return int(line.split()[1]) // 1024

    before = locked_mib()
    monkeypatch.setattr(host_load, "MEMORY_LEFT_MIB", available_memory() // 2**20 - 256)
    with host_load.host_load("memory"):
        assert locked_mib() >= before + 200
    assert locked_mib() < before + 200


def test_a_host_without_that_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_load, "MEMORY_LEFT_MIB", 2**40)
    with pytest.raises(UsageError, match="MiB of memory left"), host_load.host_load("memory"):
        pass


def test_compilers_run_beside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: Counter[str] = Counter()
    with host_load.host_load("builds"):
        deadline = time.monotonic() + 60
        while not seen["cc1"] and time.monotonic() < deadline:
            for path in Path("/proc").glob("[0-9]*/comm"):
                with contextlib.suppress(OSError):  # a process may end
                    seen[path.read_text().strip()] += 1
        assert list(tmp_path.iterdir())
    assert seen["cc1"]
    assert not list(tmp_path.iterdir())


def test_a_load_that_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_load, "_COMPILE", "echo no compiler >&2; exit 3")
    with (
        pytest.raises(HarnessError, match="load ended before the run did: no compiler"),
        host_load.host_load("builds"),
    ):
        time.sleep(0.5)
