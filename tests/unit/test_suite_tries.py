# SPDX-License-Identifier: MIT
"""Further tries of cases that lack what they need, and the record of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core import errors, ktap
from harness.core.errors import HarnessError
from harness.core.ktap import KtapResult, Outcome
from harness.jobs.tries_command import tries_command
from harness.suite.precondition_record import FILE, Often, PreconditionRecord, Subject
from harness.suite.program import Program
from harness.suite.tries import TRIES, gather_until_tested
from harness.verdict.evidence import Evidence, Lost, ProgramEnd
from harness.verdict.judge import judge
from harness.verdict.result import ProbeResult, Status
from harness.vm.spec import MACHINES
from tests.support.fake_session import fake_kernel, fake_template

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = Program("./p", 10, speaks_ktap=True, probe="p")
TIMEOUT, TIMEOUT_2, TIMEOUT_3 = (
    f"not ok {{}} {{}} # TIMEOUT not finished after {seconds} s" for seconds in (20, 40, 60)
)
PASS, FAIL, UNTESTED = "ok {} {}", "not ok {} {}", "not ok {} {} # UNTESTED p.c:7: no stale frame"
STOCK = Subject("stock", "7.3.4", unmodified=True, machine="emulator")
CHANGED = Subject("mutants", "7.3.4", unmodified=False, machine="emulator")


def end(**cases: str) -> ProgramEnd:
    """Return the end of a program whose cases print these result lines."""
    lines = [line.format(n, name) for n, (name, line) in enumerate(cases.items(), 1)]
    text = "\n".join(["KTAP version 1", f"1..{len(lines)}", *lines, ""])
    status = 0 if all(line is PASS for line in cases.values()) else 1
    return ProgramEnd(status, ktap.parse(text), stdout=text)


class Guests:
    """Gives the evidence of one guest after the other, and keeps the lines that ran."""

    def __init__(self, *evidence: Evidence | ProgramEnd) -> None:
        self._left = [e if isinstance(e, Evidence) else Evidence(program=e) for e in evidence]
        self.lines: list[str] = []
        self.patience: list[int] = []

    def attempt(self, program: Program) -> Evidence:
        self.lines.append(program.command)
        self.patience.append(program.patience)
        return self._left.pop(0)


class Tried:
    """Runs PROGRAM, or another, in guests of a kernel, with a record in a file."""

    def __init__(self, directory: Path) -> None:
        self.record = PreconditionRecord(directory / "preconditions.sqlite")
        self._directory = directory

    def __call__(
        self, guests: Guests, program: Program = PROGRAM, subject: Subject = CHANGED
    ) -> ProbeResult:
        kernel = replace(
            fake_kernel(self._directory, subject.kernel),
            release=subject.release,
            unmodified=subject.unmodified,
        )
        template = fake_template(kernel, MACHINES[subject.machine])
        return judge(gather_until_tested(guests.attempt, program, template, self.record))


@pytest.fixture
def tried(tmp_path: Path) -> Tried:
    return Tried(tmp_path)


def outcomes(result: ProbeResult) -> dict[str, str]:
    return {case.name: case.outcome.value for case in result.cases}


def test_one_guest_is_enough(tried: Tried) -> None:
    guests = Guests(end(a=PASS, b=PASS))
    result = tried(guests)
    assert (result.status, result.again, guests.lines) == (Status.PASS, {}, ["./p"])


def test_only_the_untested_cases_run_again(tried: Tried) -> None:
    guests = Guests(end(a=UNTESTED, b=PASS, c=UNTESTED), end(a=PASS, c=UNTESTED), end(c=PASS))
    result = tried(guests)
    assert result.status is Status.PASS
    assert guests.lines == ["./p", "./p a c", "./p c"]
    assert outcomes(result) == {"a": "pass", "b": "pass", "c": "pass"}
    assert [case.number for case in result.cases] == [1, 2, 3]
    assert result.again == {"a": 2, "c": 3}


def test_another_program_than_a_probe_runs_again_as_a_whole(tried: Tried) -> None:
    guests = Guests(end(a=UNTESTED, b=PASS), end(a=PASS, b=PASS))
    assert tried(guests, replace(PROGRAM, probe="")).status is Status.PASS
    assert guests.lines == ["./p", "./p"]
    assert tried.record.often() == ()


def test_a_failure_in_any_guest_counts_at_once(tried: Tried) -> None:
    first = Guests(end(a=UNTESTED, b=FAIL))
    assert tried(first).status is Status.FAIL
    assert len(first.lines) == 1
    later = Guests(end(a=UNTESTED, b=UNTESTED), end(a=FAIL, b=UNTESTED))
    assert tried(later).status is Status.FAIL
    assert len(later.lines) == 2


def test_a_lost_guest_is_never_tried_away(tried: Tried) -> None:
    lost = Evidence(program=replace(end(a=UNTESTED), exit_status=None), lost=Lost("panic"))
    assert tried(Guests(end(a=UNTESTED), lost)).status is Status.LOST
    assert tried(Guests(lost)).status is Status.LOST


def test_a_leak_in_any_guest_counts(tried: Tried) -> None:
    leak = replace(end(a=PASS), taint_after=1 << 9)
    assert tried(Guests(end(a=UNTESTED), leak)).status is Status.SPLAT


def test_output_that_is_no_proof_in_a_later_guest(tried: Tried) -> None:
    short = replace(end(a=PASS), document=ktap.parse("KTAP version 1\n1..2\nok 1 a\n"))
    assert tried(Guests(end(a=UNTESTED), short)).status is Status.ERROR


def test_a_case_that_the_host_starved_gets_more_time(tried: Tried) -> None:
    slow = replace(end(a=TIMEOUT, b=PASS), waited=0.9, had=30.0)
    again = replace(end(a=TIMEOUT_2), waited=0.9, patience=2, had=5.0)
    guests = Guests(slow, again, end(a=PASS))
    result = tried(guests)
    assert (result.status, result.again) == (Status.PASS, {"a": 3})
    assert guests.lines == ["./p", "./p a", "./p a"]
    assert guests.patience == [1, 2, 3]


def test_a_hang_counts_at_once(tried: Tried) -> None:
    guests = Guests(replace(end(a=TIMEOUT, b=PASS), waited=0.1))
    assert tried(guests).status is Status.FAIL


def test_a_hang_counts_once_the_guest_had_the_cpu_time_of_the_first_limit(tried: Tried) -> None:
    slow = replace(end(a=TIMEOUT, b=TIMEOUT, c=PASS), waited=0.6)
    # Two cases, of which each had 20 s at first: with 40 s of CPU time both have had their time.
    second = replace(end(a=TIMEOUT_2, b=TIMEOUT_2), waited=0.6, patience=2, had=39.0)
    third = replace(end(a=TIMEOUT_3, b=TIMEOUT_3), waited=0.6, patience=3, had=40.0)
    guests = Guests(slow, second, third)
    result = tried(guests)
    assert (result.status, len(guests.lines)) == (Status.FAIL, 3)


def test_a_program_hangs_with_the_cpu_time_of_its_first_limit(tried: Tried) -> None:
    cut = replace(end(), document=ktap.parse(""), exit_status=None, waited=0.6)
    first = replace(cut, seconds=5.0, had=2.0)
    guests = Guests(first, replace(cut, seconds=10.0, patience=2, had=5.0))
    assert (tried(guests).status, len(guests.lines)) == (Status.FAIL, 2)


def test_a_starved_program_that_never_ended_runs_again_as_a_whole(tried: Tried) -> None:
    cut = replace(end(a=PASS, b=PASS), exit_status=None, waited=0.9)
    guests = Guests(
        replace(cut, document=ktap.parse("KTAP version 1\n1..2\n")), end(a=PASS, b=PASS)
    )
    result = tried(guests)
    assert (result.status, guests.lines) == (Status.PASS, ["./p", "./p"])
    assert outcomes(result) == {"a": "pass", "b": "pass"}


def test_never(tried: Tried) -> None:
    guests = Guests(*[end(a=UNTESTED)] * TRIES)
    result = tried(guests)
    assert (result.status, result.exit_status) == (Status.UNTESTED, errors.UNTESTED)
    assert len(guests.lines) == TRIES
    assert result.title == (
        "a: not put to the test, what it needs did not come about in 5 guests: "
        "p.c:7: no stale frame"
    )


@pytest.mark.parametrize(
    ("elsewhere", "withheld"),
    [
        (STOCK, True),
        (replace(STOCK, release="7.3.9"), True),
        (replace(STOCK, kernel="debian:7.3.4", release="7.3.4+deb13-arm64"), True),
        (replace(STOCK, release="6.12.117"), False),
        (replace(STOCK, release="7.30.1"), False),
        (replace(STOCK, machine="dram/carveout"), False),
        (replace(STOCK, unmodified=False), False),
    ],
)
def test_a_kernel_that_withholds_what_its_release_gives(
    tried: Tried, elsewhere: Subject, withheld: bool
) -> None:
    tried(Guests(end(a=PASS, b=PASS)), subject=elsewhere)
    result = tried(Guests(end(a=UNTESTED, b=PASS), *[end(a=UNTESTED)] * TRIES))
    assert result.status is (Status.FAIL if withheld else Status.UNTESTED)
    if withheld:
        assert result.title == "a: the kernel withholds what the case needs"
        assert "it came about in 1 of 1 runs here" in result.text()


def test_what_no_kernel_gives_is_not_withheld(tried: Tried) -> None:
    tried(Guests(*[end(a=UNTESTED)] * TRIES), subject=STOCK)
    assert tried(Guests(*[end(a=UNTESTED)] * TRIES)).status is Status.UNTESTED


def test_an_unmodified_kernel_withholds_nothing(tried: Tried) -> None:
    tried(Guests(end(a=PASS)), subject=STOCK)
    assert tried(Guests(*[end(a=UNTESTED)] * TRIES), subject=STOCK).status is Status.UNTESTED


def results(**outcome: Outcome) -> list[KtapResult]:
    return [KtapResult(n, name, o) for n, (name, o) in enumerate(outcome.items(), 1)]


def test_the_record_counts(tmp_path: Path) -> None:
    record = PreconditionRecord(tmp_path / "p.sqlite")
    good = results(a=Outcome.PASS, b=Outcome.PASS)
    record.note("p", STOCK, good, {})
    record.note("p", STOCK, good, {"b": 2})
    record.note("p", STOCK, results(a=Outcome.PASS, b=Outcome.UNTESTED), {"b": 5})
    assert record.often() == (Often("stock", "emulator", "p", "b", 3, 2, 1),)


def test_a_damaged_record_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "p.sqlite"
    path.write_bytes(b"no database at all" * 1000)
    record = PreconditionRecord(path)
    record.note("p", STOCK, results(a=Outcome.PASS), {"a": 2})
    assert len(record.often()) == 1


def test_a_record_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "p.sqlite"
    path.mkdir()
    with pytest.raises(HarnessError, match=r"p\.sqlite: unable to open"):
        PreconditionRecord(path).often()


def test_the_command_shows_what_needed_another_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MTE_HARNESS_CACHE", str(tmp_path))
    assert tries_command.main([], standalone_mode=False) == errors.OK
    assert not (tmp_path / FILE).exists()
    record = PreconditionRecord(tmp_path / FILE)
    record.note("p", STOCK, results(a=Outcome.PASS), {})
    record.note("p", STOCK, results(a=Outcome.UNTESTED), {"a": 5})
    assert tries_command.main([], standalone_mode=False) == errors.OK
    none, one = capsys.readouterr().out.splitlines()
    assert none == "no case needed another guest on this host"
    assert one == "1 of 2 runs, in vain in 1: p::a on stock, emulator"
