# SPDX-License-Identifier: MIT
"""``mte-harness nightly`` with a suite that is made up: interruption, status, what is left."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from harness.core import errors
from harness.core.errors import BaseGoneError, BuildError, QemuDiedError
from harness.core.progress import Silent
from harness.history.make_room import make_room
from harness.history.night import (
    COMES_UP,
    KernelRun,
    Planned,
    State,
    load_night,
    load_run,
    night_files,
    run_files,
)
from harness.jobs import command_line, exit_status, known_bad, night_run, night_suites
from harness.jobs.night_suites import SUITES, Job, Outcome, Suite
from harness.jobs.run_suite import collect_tests
from tests.unit.night_sample import ran, run_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.suite.session import Session


@dataclass
class FakeSuite:
    """Runs tests whose states are set; ``calls`` has the entries that were run."""

    states: dict[str, State] = field(default_factory=lambda: {"swap": State.PASS})
    calls: list[str] = field(default_factory=list)
    fail: BaseException | None = None
    status: int = errors.OK

    def run(self, job: Job) -> Outcome:
        self.calls.append(job.entry.entry)
        if self.fail:
            fail, self.fail = self.fail, None
            raise fail
        tests = tuple(ran(name, state) for name, state in self.states.items())
        kernel = KernelRun("stock", "emulator", "k", "7.3")
        picked = (ran(name) for name in job.entry.picked)
        return Outcome(self.status, (*tests, *picked), (kernel,), qemu="QEMU 10")


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> FakeSuite:
    fake = FakeSuite()
    monkeypatch.setitem(SUITES, "fake", Suite("made up", takes_kernel=False, run=fake.run))
    made = Suite("made up", takes_kernel=False, run=fake.run, tests=lambda: ("a", "b", "c"))
    monkeypatch.setitem(SUITES, "turning", made)
    monkeypatch.setattr(exit_status, "unwind_on_sigterm", lambda: None)
    return fake


MATRIX = '[[entry]]\nsuite = "fake"\nestimate = "1m"\n'
TWO = MATRIX + '[[entry]]\nsuite = "turning"\nestimate = "1m"\nrotate = 2\n'


@pytest.fixture
def nightly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: FakeSuite
) -> Callable[..., int]:
    """Run the command on a matrix; return its status."""
    clock = datetime(2026, 11, 30, 1, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, _: object = None) -> datetime:  # type: ignore[override]
            nonlocal clock
            clock += timedelta(minutes=1)
            return clock

    monkeypatch.setattr(night_run, "datetime", Clock)

    def run(text: str, *words: str, later: timedelta = timedelta()) -> int:
        nonlocal clock
        clock += later
        path = tmp_path / "m.toml"
        path.write_text(text)
        argv = ["mte-harness", "nightly", "--matrix", str(path), "--results", str(tmp_path / "r")]
        monkeypatch.setattr(sys, "argv", [*argv, *words])
        with pytest.raises(SystemExit) as caught:
            command_line.main()
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return run


def test_what_a_night_leaves(nightly: Callable[..., int], tmp_path: Path) -> None:
    assert nightly(MATRIX) == errors.OK
    results = tmp_path / "r"
    left = {path.name for path in results.iterdir()}
    assert left == {
        "nights",
        "history.sqlite",
        "history.sqlite.lock",
        "site",
        "mail.txt",
        "kcidb.json",
        "lock",
    }
    (run,) = map(load_run, run_files(results))
    assert [test.test for test in run.tests] == ["swap"]
    assert run.context.qemu == "QEMU 10"
    assert load_night(night_files(results)[0]).finished
    assert json.loads((results / "kcidb.json").read_text())["tests"]
    assert (results / "site/index.html").stat().st_size > 1000


def test_the_status_says_whether_something_new_is_wrong(
    nightly: Callable[..., int], suite: FakeSuite
) -> None:
    assert nightly(MATRIX) == errors.OK
    suite.states["swap"] = State.FAIL
    assert nightly(MATRIX) == errors.PROGRAM_FAILED
    assert nightly(MATRIX) == errors.OK  # still failing is not new
    suite.states["swap"] = State.PASS
    assert nightly(MATRIX) == errors.OK
    suite.states.pop("swap")
    suite.states["other"] = State.PASS
    assert nightly(MATRIX) == errors.PROGRAM_FAILED  # disappeared


def test_a_test_that_could_not_run_is_no_pass(
    nightly: Callable[..., int], suite: FakeSuite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(MATRIX) == errors.OK
    suite.states["swap"] = State.ERROR
    assert nightly(MATRIX) == errors.PROGRAM_FAILED
    assert "COULD NOT RUN (1)" in capsys.readouterr().out
    suite.status = QemuDiedError.status
    suite.states["other"] = State.ERROR
    assert nightly(MATRIX) == QemuDiedError.status  # the reason is the host's


def test_what_was_not_put_to_the_test_is_chance(
    nightly: Callable[..., int], suite: FakeSuite, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.states["swap"] = State.UNTESTED
    suite.status = errors.UNTESTED
    assert nightly(MATRIX) == errors.OK
    assert "NOT TRIED (1)\n  swap on stock@emulator: untested" in capsys.readouterr().out


def test_a_suite_that_could_not_begin_is_no_pass(
    nightly: Callable[..., int], suite: FakeSuite
) -> None:
    """A kernel that does not build is no trouble of the host, and here no test says so."""
    for _ in range(2):
        suite.fail = BuildError("cc1 crashed")
        assert nightly(MATRIX) == errors.PROGRAM_FAILED


def test_trouble_of_the_host_is_the_status_if_nothing_new_is_wrong(
    nightly: Callable[..., int], suite: FakeSuite
) -> None:
    suite.fail = QemuDiedError("QEMU was killed")
    assert nightly(TWO) == QemuDiedError.status
    assert len(suite.calls) == 2  # the other entry was run
    suite.fail = OSError(errno.EMFILE, "Too many open files")
    assert nightly(TWO) == errors.HarnessError.status
    suite.fail = QemuDiedError("QEMU was killed")
    suite.states["new"] = State.LOST
    assert nightly(TWO) == errors.PROGRAM_FAILED


def test_a_base_that_is_gone_is_a_hole(
    nightly: Callable[..., int],
    suite: FakeSuite,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite.fail = BaseGoneError("linux-source-7.3")
    nightly(MATRIX)
    assert "base gone: linux-source-7.3" in capsys.readouterr().out


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupted_night_goes_on_where_it_was(
    nightly: Callable[..., int], suite: FakeSuite, tmp_path: Path, interruption: BaseException
) -> None:
    first = suite.run

    def second(job: Job) -> Outcome:
        if job.entry.suite == "turning" and len(suite.calls) == 1:
            suite.fail = interruption
        return first(job)

    SUITES["turning"] = Suite("x", takes_kernel=False, run=second, tests=lambda: ("a", "b", "c"))
    assert nightly(TWO) in {errors.INTERRUPTED, 143}
    assert len(run_files(tmp_path / "r")) == 1
    assert nightly(TWO) == errors.OK
    assert suite.calls == ["fake", "turning", "turning"]
    (night,) = map(load_night, night_files(tmp_path / "r"))
    assert night.finished
    assert len(run_files(tmp_path / "r")) == 2


@pytest.mark.parametrize("why", ["stale", "another matrix", "another budget"])
def test_a_night_that_is_not_gone_on_with(
    nightly: Callable[..., int], suite: FakeSuite, tmp_path: Path, why: str
) -> None:
    suite.fail = KeyboardInterrupt()
    nightly(TWO)
    later = timedelta(hours=23.9 if why == "stale" else 1)  # the next night of a timer
    words = ("--budget", "2h") if why == "another budget" else ()
    nightly(MATRIX if why == "another matrix" else TWO, *words, later=later)
    assert len(night_files(tmp_path / "r")) == 2


def test_what_an_interrupted_night_found_is_told_by_the_next(
    nightly: Callable[..., int], suite: FakeSuite
) -> None:
    assert nightly(TWO) == errors.OK
    suite.states["swap"] = State.FAIL
    first = suite.run

    def second(job: Job) -> Outcome:
        if suite.calls.count("fake") == 2:
            suite.fail = KeyboardInterrupt()
        return first(job)

    turning = SUITES["turning"]
    SUITES["turning"] = replace(turning, run=second)
    assert nightly(TWO) == errors.INTERRUPTED
    assert nightly(TWO, later=timedelta(days=1)) == errors.PROGRAM_FAILED
    assert nightly(TWO) == errors.OK  # told


def test_a_clock_that_was_set_back_gives_no_night_the_records_of_another(
    nightly: Callable[..., int], suite: FakeSuite, tmp_path: Path
) -> None:
    assert nightly(MATRIX) == errors.OK
    suite.states["swap"] = State.FAIL
    (tmp_path / "r/nights/no night").mkdir()
    assert nightly(MATRIX, later=timedelta(minutes=-1)) == errors.PROGRAM_FAILED
    assert nightly(MATRIX, later=timedelta(days=-400)) == errors.OK  # still failing
    assert len(suite.calls) == 3
    first, second, third = map(load_night, night_files(tmp_path / "r"))
    assert third.began < first.began < second.began
    assert third.name > second.name


def test_what_was_picked_and_did_not_run_is_no_pass(
    nightly: Callable[..., int], suite: FakeSuite, tmp_path: Path
) -> None:
    SUITES["turning"] = replace(SUITES["turning"], run=lambda _: Outcome(tests=(ran("a"),)))
    assert nightly(TWO) == errors.PROGRAM_FAILED
    (run,) = [run for run in map(load_run, run_files(tmp_path / "r")) if run.suite == "turning"]
    assert [(test.test, test.state) for test in run.tests] == [
        ("a", State.PASS),
        ("b", State.ERROR),
    ]


def test_a_suite_that_cannot_be_listed_keeps_no_other_from_running(
    nightly: Callable[..., int],
    suite: FakeSuite,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert nightly(TWO) == errors.OK
    suite.calls.clear()

    def broken() -> tuple[str, ...]:
        raise errors.HarnessError("pytest cannot collect tests/nightly: SyntaxError")

    made = Suite("made up", takes_kernel=False, run=suite.run, tests=broken)
    monkeypatch.setitem(SUITES, "turning", made)
    assert nightly(TWO) == errors.HarnessError.status
    assert suite.calls == ["fake"]
    told = capsys.readouterr().out
    assert "cannot run: pytest cannot collect tests/nightly: SyntaxError" in told
    assert "DISAPPEARED" not in told


def test_why_pytest_cannot_collect(tmp_path: Path) -> None:
    path = tmp_path / "test_broken.py"
    path.write_text("import no_such_module\n")
    with pytest.raises(errors.HarnessError, match="No module named 'no_such_module'") as caught:
        collect_tests([str(path)])
    assert "\n" not in str(caught.value)


def test_a_test_that_a_rotation_lost_has_disappeared(
    nightly: Callable[..., int], suite: FakeSuite
) -> None:
    assert nightly(TWO) == errors.OK
    SUITES["turning"] = replace(SUITES["turning"], tests=lambda: ("b", "c", "swap"))
    assert nightly(TWO) == errors.PROGRAM_FAILED
    assert nightly(TWO) == errors.OK


def test_a_night_in_which_nothing_fits(
    nightly: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(TWO, "--budget", "5s") == errors.UsageError.status
    assert "nothing fits in 5 s: fake alone is expected to take 60 s" in capsys.readouterr().err
    assert not night_files(tmp_path / "r")


def test_the_next_rotation_takes_others(
    nightly: Callable[..., int], suite: FakeSuite, tmp_path: Path
) -> None:
    def run(job: Job) -> Outcome:
        return Outcome(tests=tuple(ran(name) for name in job.entry.picked), qemu="QEMU 10")

    SUITES["turning"] = Suite("x", takes_kernel=False, run=run, tests=lambda: ("a", "b", "c"))
    for _ in range(3):
        assert nightly(TWO) == errors.OK
    picked = [load_night(path).entries[1].picked for path in night_files(tmp_path / "r")]
    assert picked == [("a", "b"), ("c", "a"), ("b", "a")]


def test_a_forecast_runs_nothing(
    nightly: Callable[..., int], suite: FakeSuite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(MATRIX, "--dry-run", "--budget", "2m") == errors.OK
    assert suite.calls == []
    assert "60 s  fake  (an estimate)" in capsys.readouterr().out
    assert nightly(MATRIX, "--dry-run", "--budget", "30s") == errors.OK
    assert "no time" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--budget", "soon"), ("--matrix", "/none")])
def test_errors_of_usage(nightly: Callable[..., int], words: tuple[str, ...]) -> None:
    assert nightly(MATRIX, *words) == errors.UsageError.status


def test_an_entry_is_left_out_when_the_others_took_too_long(
    nightly: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = iter(range(0, 10**6, 500))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    assert nightly(TWO, "--budget", "4m") == errors.OK
    assert len(run_files(tmp_path / "r")) == 1
    assert "the others took 8 min" in load_night(night_files(tmp_path / "r")[0]).entries[1].left_out


def test_a_kernel_that_does_not_boot_is_the_kernel_s_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trouble: errors.HarnessError = errors.BootError("no ready line")

    def prepare(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(night_suites, "prepare", prepare)
    kernel = SimpleNamespace(name="stock", key="k", release="7.3", description="x")
    session = SimpleNamespace(kernel_of=lambda _: kernel)
    monkeypatch.setattr(night_suites, "Session", lambda *_: session)
    entry = Planned("validation stock@dram", "validation", "stock@dram", "", "", "", 1, 60, 0)
    found = night_suites.run_job(Job(entry, tmp_path, 1, Silent()))
    (came,) = found.tests
    assert (came.kernel, came.machine) == ("stock", "dram/carveout")
    assert (came.test, came.state, came.reason) == (COMES_UP, State.LOST, "no ready line")
    assert found.errors == ("stock: no ready line",)
    assert [used.key for used in found.kernels] == ["k"]
    trouble = BuildError("cc1 crashed")
    found = night_suites.run_job(Job(entry, tmp_path, 1, Silent()))
    assert (found.tests[0].state, found.kernels) == (State.FAIL, ())
    trouble = QemuDiedError("x")
    found = night_suites.run_job(Job(entry, tmp_path, 1, Silent()))
    assert (found.tests, found.exit_status) == ((), QemuDiedError.status)


def test_known_bad_kernels_keep_the_host_s_status_and_their_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trouble: list[errors.HarnessError] = [QemuDiedError("x"), BuildError("y")]

    def prove(*_: object) -> None:
        raise trouble.pop(0)

    monkeypatch.setattr(night_suites, "prove", prove)
    monkeypatch.setattr(night_suites, "Session", lambda *_: SimpleNamespace(qemu="QEMU 10"))
    names = tuple(night_suites._known_bad_names()[:2])
    entry = Planned("known-bad", "known-bad", "", "", "", "", 1, 60, 0, picked=names)
    found = night_suites.run_job(Job(entry, tmp_path, 1, Silent()))
    assert found.exit_status == QemuDiedError.status
    assert {(test.state, bool(test.machine)) for test in found.tests} == {(State.ERROR, True)}


def test_known_bad_kernels_run_on_the_qemu_of_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run_suite(*_: object, qemu_binary: str, **__: object) -> None:
        asked.append(qemu_binary)
        raise QemuDiedError("x")

    monkeypatch.setattr(known_bad, "prepare", lambda *_: None)
    monkeypatch.setattr(known_bad, "run_suite", run_suite)
    (recipe,) = known_bad.recipes(["swapin-no-restore"], None, None)
    with pytest.raises(QemuDiedError):
        known_bad.prove(cast("Session", SimpleNamespace(qemu_binary="11.1")), recipe, None, 1)
    assert asked == ["11.1"]


def test_a_host_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/none")
    assert night_run._harness()


# --- room -----------------------------------------------------------------------


def entry_of(cache: Path, name: str, age_days: float) -> Path:
    path = cache / name
    path.mkdir(parents=True)
    (path / "meta.json").write_bytes(b"x" * 100_000)
    when = time.time() - age_days * 86400
    for one in (path / "meta.json", path):
        os.utime(one, (when, when))
    return path


def test_the_oldest_goes_and_what_the_night_needs_stays(tmp_path: Path) -> None:
    cache, results = tmp_path / "cache", tmp_path / "r"
    old = entry_of(cache, "builds/old", 9)
    needed = entry_of(cache, "builds/needed", 30)
    older = entry_of(cache, "templates/older", 20)
    fresh = entry_of(cache, "builds/fresh", 0.5)
    report = entry_of(results, "nights/20261101-200000/001", 3)
    record = entry_of(results, "nights/20261101-200000/records", 3)
    tonight = entry_of(results, "nights/20261102-200000/001", 0)
    kernel = KernelRun("stock", "emulator", "needed", "7.3")
    runs = [run_of(2, [ran("swap")], kernels=(kernel,))]
    assert not str(make_room(10**9, cache, results, runs))
    limit = 6 * 102_400  # seven are there
    assert make_room(limit, cache, results, runs).removed == (report,)
    assert make_room(limit - 102_400, cache, results, runs).removed == (older,)
    assert make_room(0, cache, results, runs).removed == (old,)
    assert all(path.is_dir() for path in (needed, fresh, record, tonight))
    assert [path.name for path in report.parent.iterdir()] == ["records"]  # nor is a lock left
    assert make_room(0, cache).removed == (needed,)  # no night needs it
    assert "0.0 GiB are left, more than the limit of 0.0 GiB" in str(make_room(0, cache))
