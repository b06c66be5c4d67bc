# SPDX-License-Identifier: MIT
"""judge(): what speaks against a pass, and which exit status that is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.core import errors, ktap
from harness.verdict.counters import Counters, returned
from harness.verdict.evidence import Evidence, Lost, ProgramEnd, TestEnd
from harness.verdict.finding import Finding, FindingKind
from harness.verdict.judge import judge
from harness.verdict.patterns import SplatKind
from harness.verdict.result import CounterSample, ProbeResult, Reason, Status
from harness.verdict.splat import find_splats

PASSED = ktap.parse("KTAP version 1\n1..2\nok 1 a\nok 2 b\n")
GOOD = ProgramEnd(exit_status=0, document=PASSED)
SPLATS = find_splats("[    1.000000] WARNING: CPU: 0 PID: 9 at mm/ksm.c:9 ksm+0x1/0x2\n")
LOST = Lost("guest lost in phase: x")
LEAK = returned(Counters({"SwapTotal": 0}, {}), Counters({"SwapTotal": 4}, {}))
PAGE = "docs/findings/a-bug.md"


def document(*lines: str) -> ktap.Document:
    return ktap.parse("\n".join(["KTAP version 1", f"1..{len(lines)}", *lines, ""]))


def judged(**change: object) -> ProbeResult:
    """Return the result of a good program's end with some fields changed."""
    return judge(Evidence(program=replace(GOOD, **change)))  # type: ignore[arg-type]


def test_pass() -> None:
    result = judged()
    assert (result.status, result.reasons, result.title) == (Status.PASS, (), "passed")
    assert result.text() == ""
    assert result.status.exit_status == errors.OK


def test_nothing_at_all_is_a_pass() -> None:
    """A test of pytest that passed and ran no program has nothing against it."""
    assert judge(Evidence()) == ProbeResult(Status.PASS)


def test_failed_case_says_its_diagnostics() -> None:
    bad = ktap.parse("KTAP version 1\n1..2\nok 1 a\n# f.c:3: expected 1, saw 2\nnot ok 2 b\n")
    result = judged(exit_status=1, document=bad)
    (reason,) = result.reasons
    assert (reason.text, reason.details) == ("b", ("f.c:3: expected 1, saw 2",))
    assert result.status.exit_status == errors.PROGRAM_FAILED
    assert result.text() == "fail: b\n    f.c:3: expected 1, saw 2"


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"taint_after": 1 << 9}, Status.SPLAT, "became tainted: W (kernel issued a warning)"),
        ({"taint_after": None}, Status.ERROR, "taint could not be read"),
        ({"exit_status": None, "seconds": 60}, Status.FAIL, "did not end within 60 s"),
        ({"exit_status": 139}, Status.FAIL, "exit status 139 (killed by signal 11)"),
        ({"exit_status": 1}, Status.FAIL, "ended with exit status 1"),
        ({"exit_status": 4}, Status.FAIL, "ended with exit status 4"),
        ({"unaudited": "no vmcoreinfo"}, Status.ERROR, "could not be audited: no vmcoreinfo"),
        ({"document": ktap.parse("")}, Status.ERROR, "no KTAP version line"),
        ({"document": document("ok 1 a # SKIP no")}, Status.ERROR, "skipped itself"),
        ({"document": document("ok 1 a # XPASS")}, Status.FAIL, "expected to fail"),
        ({"document": document("not ok 1 a # TIMEOUT 9")}, Status.FAIL, "a: 9"),
        (
            {"document": document("not ok 1 a # TIMEOUT 9"), "waited": 0.6, "had": 3.0},
            Status.UNTESTED,
            "a: 9, while the guest waited 60% of the time for a CPU of this host, and had 3 s",
        ),
        (
            {"exit_status": None, "overflow": True, "waited": 0.6},
            Status.FAIL,
            "was ended: it printed more than the harness keeps",
        ),
        (
            {"exit_status": None, "seconds": 9.0, "waited": 0.6},
            Status.UNTESTED,
            "did not end within 9 s, while the guest waited 60% of the time",
        ),
        ({"document": document("not ok 1 a # ERROR x")}, Status.FAIL, "a: x"),
        ({"document": document("not ok 1 a"), "exit_status": 0}, Status.FAIL, "a"),
        ({"problems": LEAK}, Status.FAIL, "not given back: SwapTotal: 0 before, 4 kB after"),
    ],
)
def test_program_is_not_a_pass(change: dict[str, object], status: Status, text: str) -> None:
    result = judged(**change)
    assert result.status is status
    assert text in result.title
    assert result.status.exit_status != errors.OK
    assert not result.status.good


def test_splat_is_not_a_pass() -> None:
    result = judge(Evidence(program=GOOD, splats=SPLATS))
    assert result.status is Status.SPLAT
    assert result.title == f"{SPLATS[0].title} [{SPLATS[0].fingerprint}]"
    assert result.title.startswith("WARNING: CPU: 0")
    assert result.reasons[0].details == SPLATS[0].lines
    assert result.splats == SPLATS
    assert result.status.exit_status == errors.KERNEL_SPLAT


def test_lost_guest_is_not_a_pass() -> None:
    result = judge(Evidence(program=replace(GOOD, exit_status=None), lost=LOST))
    assert (result.status, result.title) == (Status.LOST, "guest lost in phase: x")
    assert result.status.exit_status == errors.GUEST_LOST


def test_taint_that_was_there_before_is_no_reason() -> None:
    assert judged(taint_before=1 << 9, taint_after=1 << 9).status is Status.PASS
    result = judged(taint_before=1 << 9, taint_after=1 << 9 | 1 << 5)
    assert "tainted: B (bad page" in result.title


def test_xfail_is_accepted() -> None:
    assert judged(document=document("not ok 1 a # XFAIL known")).status is Status.PASS


def test_worst_reason_comes_first_and_all_are_told() -> None:
    program = replace(GOOD, exit_status=1, document=document("not ok 1 a"))
    result = judge(Evidence(program=program, splats=SPLATS, lost=Lost("gone", "x\ny")))
    assert [reason.status for reason in result.reasons] == [
        Status.LOST, Status.SPLAT, Status.FAIL,
    ]  # fmt: skip
    assert result.reasons[0].details == ("x", "y")
    assert result.status.exit_status == errors.GUEST_LOST


def test_allowed_skip_is_good_but_no_pass() -> None:
    skip = document("ok 1 a", "ok 2 b # SKIP no zswap here")
    result = judged(document=skip, allowed_skips={"CONFIG_ZSWAP": "zswap"})
    assert result.status is Status.SKIP
    assert result.status.good
    assert result.status.exit_status == errors.OK
    assert "skipped, CONFIG_ZSWAP" in result.title


def test_skip_for_another_reason_than_the_missing_symbol_is_an_error() -> None:
    skip = document("ok 1 a # SKIP no MTE")
    assert judged(document=skip, allowed_skips={"CONFIG_ZSWAP": "zswap"}).status is Status.ERROR


def test_program_that_skips_itself_as_a_whole() -> None:
    whole = ProgramEnd(exit_status=4, document=ktap.parse("TAP version 13\n1..0 # SKIP no KSM\n"))
    assert judge(Evidence(program=whole)).status is Status.ERROR
    allowed = replace(whole, allowed_skips={"CONFIG_KSM": "KSM"})
    assert judge(Evidence(program=allowed)).status is Status.SKIP


def test_program_without_ktap_is_judged_by_its_exit_status() -> None:
    assert judge(Evidence(program=ProgramEnd(exit_status=0))).status is Status.PASS
    result = judge(Evidence(program=ProgramEnd(exit_status=3, stderr="cannot open\nx\n")))
    assert result.status is Status.FAIL
    assert result.reasons[0].details == ("cannot open", "x")


def test_lost_guest_keeps_what_the_program_had_said() -> None:
    half = ktap.parse("KTAP version 1\n1..3\nnot ok 1 a\n")
    program = ProgramEnd(exit_status=None, document=half, taint_after=None)
    result = judge(Evidence(program=program, lost=Lost("gone")))
    assert [reason.text for reason in result.reasons] == ["gone", "a"]
    assert result.cases == half.results


# What the auditor finds.


IN_USE = Finding(FindingKind.STORAGE_IN_USE, (0x40001, 0x40002), ("frame 0x40001: used",))
UNKNOWN = Finding(FindingKind.UNKNOWN, (0x40003,), ("frame 0x40003: on no list",))


@pytest.mark.parametrize("kind", [kind for kind in FindingKind if kind is not FindingKind.UNKNOWN])
def test_each_kind_of_finding_is_a_failure(kind: FindingKind) -> None:
    result = judged(findings=(Finding(kind, (7,)),))
    assert (result.status, result.title) == (
        Status.FAIL, "the auditor finds pages and tag storage at odds",
    )  # fmt: skip
    assert result.reasons[0].details == (f"1 pages: {kind.value}",)


def test_findings_are_in_the_result_and_in_the_reason() -> None:
    result = judged(findings=(IN_USE, UNKNOWN))
    assert result.findings == (IN_USE, UNKNOWN)
    (reason,) = result.reasons
    assert reason.details == (
        "2 pages: its storage is in use for data",
        "  frame 0x40001: used",
        "1 pages: whether its storage is free cannot be told",
        "  frame 0x40003: on no list",
    )


def test_finding_of_which_nothing_is_known_is_no_reason() -> None:
    result = judged(findings=(UNKNOWN,))
    assert (result.status, result.reasons) == (Status.PASS, ())
    assert result.findings == (UNKNOWN,)


# A known bug.


FAILED = {"exit_status": 1, "document": document("ok 1 a", "not ok 2 b")}


def test_known_bug_excuses_the_run_whose_case_fails() -> None:
    result = judged(**FAILED, known_bug=PAGE)
    assert result.status is Status.SKIP
    assert [reason.text for reason in result.reasons] == [f"known bug ({PAGE}): b"]
    assert judged(**FAILED).status is Status.FAIL


def test_known_bug_excuses_what_the_failing_run_brought_along() -> None:
    program = replace(GOOD, **FAILED, known_bug=PAGE, taint_after=1 << 9, problems=LEAK)  # type: ignore[arg-type]
    result = judge(Evidence(program=program, splats=SPLATS))
    assert result.status is Status.SKIP
    assert len(result.reasons) == 4  # case, splat, taint, counter: each is told
    assert all(reason.text.startswith(f"known bug ({PAGE}): ") for reason in result.reasons)
    assert result.splats == SPLATS


@pytest.mark.parametrize("kind", [kind for kind in SplatKind if kind is not SplatKind.WARNING])
def test_known_bug_does_not_excuse_a_splat_of_another_kind(kind: SplatKind) -> None:
    program = replace(GOOD, **FAILED, known_bug=PAGE, taint_after=1 << 9)  # type: ignore[arg-type]
    splats = tuple(replace(splat, kind=kind) for splat in SPLATS)
    result = judge(Evidence(program=program, splats=(*SPLATS, *splats)))
    assert result.status is Status.SPLAT
    assert not any("known bug" in reason.text for reason in result.reasons)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"exit_status": 1}, Status.FAIL),
        ({"exit_status": None, "seconds": 60}, Status.FAIL),
        ({"taint_after": 1 << 9}, Status.SPLAT),
        ({"problems": LEAK}, Status.FAIL),
        ({"findings": (IN_USE,)}, Status.FAIL),
        ({"document": document("ok 1 a # SKIP no MTE")}, Status.ERROR),
        ({"document": document("ok 1 a # XPASS")}, Status.FAIL),
        ({"document": document("not ok 1 a # TIMEOUT 9")}, Status.FAIL),
        ({"document": ktap.parse("KTAP version 1\n1..2\nok 1 a\n")}, Status.ERROR),
        ({"document": None, "exit_status": 1}, Status.FAIL),
    ],
)
def test_known_bug_excuses_nothing_where_no_case_fails(
    change: dict[str, object], status: Status
) -> None:
    result = judged(**change, known_bug=PAGE)
    assert result.status is status
    assert not any("known bug" in reason.text for reason in result.reasons)


def test_known_bug_of_a_program_that_passes_is_a_pass() -> None:
    assert judged(known_bug=PAGE).status is Status.PASS


def test_known_bug_does_not_excuse_a_lost_guest_without_a_failed_case() -> None:
    program = replace(GOOD, exit_status=None, document=document("ok 1 a"), known_bug=PAGE)
    assert judge(Evidence(program=program, lost=LOST)).status is Status.LOST


# How the test itself ended.


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.PASS])
def test_end_of_the_test_is_a_reason_of_its_status(status: Status) -> None:
    result = judge(Evidence(test=TestEnd(status, "first line\nsecond\nthird")))
    assert result.status is status
    assert result.reasons == (Reason(status, "first line", ("second", "third")),)


def test_end_of_the_test_without_a_text() -> None:
    result = judge(Evidence(test=TestEnd(Status.FAIL, "")))
    assert result.reasons == (Reason(Status.FAIL, "fail"),)


def test_failed_test_beside_a_program_that_passed() -> None:
    result = judge(Evidence(program=GOOD, test=TestEnd(Status.FAIL, "assert 1 == 2")))
    assert (result.status, result.title) == (Status.FAIL, "assert 1 == 2")
    assert result.cases == PASSED.results


def test_program_that_did_not_pass_in_a_test_that_failed_for_another_reason() -> None:
    program = replace(GOOD, **FAILED)  # type: ignore[arg-type]
    result = judge(Evidence(program=program, test=TestEnd(Status.ERROR, "no QEMU")))
    assert [reason.text for reason in result.reasons] == ["b", "no QEMU"]


def test_skipped_test_does_not_hide_a_splat() -> None:
    evidence = Evidence(program=GOOD, splats=SPLATS, test=TestEnd(Status.SKIP, "no zram"))
    assert [r.status for r in judge(evidence).reasons] == [Status.SPLAT, Status.SKIP]


def test_known_bug_that_shows_tells_it_once() -> None:
    """test_findings calls pytest.xfail() for a known bug; the reasons already say it."""
    program = replace(GOOD, **FAILED, known_bug=PAGE)  # type: ignore[arg-type]
    result = judge(Evidence(program=program, test=TestEnd(Status.SKIP, "known bug")))
    assert [reason.text for reason in result.reasons] == [f"known bug ({PAGE}): b"]


@pytest.mark.parametrize("status", [s for s in Status if not s.good])
def test_known_bug_that_shows_does_not_excuse_the_rest_of_the_test(status: Status) -> None:
    program = replace(GOOD, **FAILED, known_bug=PAGE)  # type: ignore[arg-type]
    result = judge(Evidence(program=program, test=TestEnd(status, "at its teardown")))
    assert (result.status, result.title) == (status, "at its teardown")


def test_known_bug_that_no_longer_shows_fails_by_the_test() -> None:
    program = replace(GOOD, known_bug=PAGE)
    result = judge(Evidence(program=program, test=TestEnd(Status.FAIL, "no longer shows")))
    assert (result.status, result.title) == (Status.FAIL, "no longer shows")


def test_a_case_that_a_later_release_fixed() -> None:
    text = document("not ok 1 a", "not ok 2 b", "ok 3 c")
    program = replace(GOOD, exit_status=1, document=text, fixed_later={"a": "6.6 (332c)", "c": "x"})
    result = judge(Evidence(program=program))
    assert (result.status, result.title) == (Status.FAIL, "b")
    assert result.reasons[1].text == "known bug, fixed in 6.6 (332c): a"
    alone = replace(program, document=document("not ok 1 a", "ok 2 c"))
    assert judge(Evidence(program=alone)).status is Status.SKIP
    splat = replace(alone, taint_after=1 << 9)
    assert judge(Evidence(program=splat)).status is Status.SPLAT
    lacking = replace(program, document=document("not ok 1 a # UNTESTED no zero page", "ok 2 c"))
    assert judge(Evidence(program=lacking)).status is Status.SKIP


# The result.


def test_result_has_all_that_was_seen() -> None:
    samples = (CounterSample(0.5, {"MemFree": 1}),)
    program = replace(GOOD, samples=samples, stdout="out", stderr="err", findings=(UNKNOWN,))
    evidence = Evidence(program=program, phases={"clone": 0.1, "run": 2.0}, console="text")
    assert judge(evidence) == ProbeResult(
        status=Status.PASS,
        cases=PASSED.results,
        samples=samples,
        findings=(UNKNOWN,),
        phases={"clone": 0.1, "run": 2.0},
        stdout="out",
        stderr="err",
        console="text",
    )


@pytest.mark.parametrize(
    ("status", "rank", "exit_status", "good"),
    [
        (Status.LOST, 0, errors.GUEST_LOST, False),
        (Status.SPLAT, 1, errors.KERNEL_SPLAT, False),
        (Status.FAIL, 2, errors.PROGRAM_FAILED, False),
        (Status.ERROR, 3, errors.PROGRAM_FAILED, False),
        (Status.UNTESTED, 4, errors.UNTESTED, False),
        (Status.SKIP, 5, errors.OK, True),
        (Status.PASS, 6, errors.OK, True),
    ],
)
def test_status(status: Status, rank: int, exit_status: int, *, good: bool) -> None:
    assert (status.rank, status.exit_status, status.good) == (rank, exit_status, good)


def test_there_is_no_other_status() -> None:
    assert len(Status) == 7
