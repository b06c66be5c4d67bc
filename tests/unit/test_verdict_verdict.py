# SPDX-License-Identifier: MIT
"""judge(): what speaks against a pass, and which exit status that is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.core import errors, ktap
from harness.verdict.counters import Counters, returned
from harness.verdict.judge import Evidence, Lost, Status, judge
from harness.verdict.splat import find_splats

GOOD = Evidence(exit_status=0, document=ktap.parse("KTAP version 1\n1..2\nok 1 a\nok 2 b\n"))
SPLATS = find_splats("[    1.000000] WARNING: CPU: 0 PID: 9 at mm/ksm.c:9 ksm+0x1/0x2\n")


def document(*lines: str) -> ktap.Document:
    return ktap.parse("\n".join(["KTAP version 1", f"1..{len(lines)}", *lines, ""]))


def test_pass() -> None:
    verdict = judge(GOOD)
    assert (verdict.status, verdict.reasons, verdict.title) == (Status.PASS, (), "passed")
    assert verdict.status.exit_status == errors.OK


def test_failed_case_says_its_diagnostics() -> None:
    bad = ktap.parse("KTAP version 1\n1..2\nok 1 a\n# f.c:3: expected 1, saw 2\nnot ok 2 b\n")
    verdict = judge(replace(GOOD, exit_status=1, document=bad))
    (reason,) = verdict.reasons
    assert (reason.text, reason.details) == ("b", ("f.c:3: expected 1, saw 2",))
    assert verdict.status.exit_status == errors.PROGRAM_FAILED
    assert verdict.text() == "fail: b\n    f.c:3: expected 1, saw 2"


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"splats": SPLATS}, Status.SPLAT, "WARNING: CPU: 0"),
        ({"taint_after": 1 << 9}, Status.SPLAT, "became tainted: W (kernel issued a warning)"),
        ({"taint_after": None}, Status.ERROR, "taint could not be read"),
        ({"exit_status": None, "seconds": 60}, Status.FAIL, "did not end within 60 s"),
        ({"exit_status": 139}, Status.FAIL, "exit status 139 (killed by signal 11)"),
        ({"exit_status": 1}, Status.FAIL, "ended with exit status 1"),
        ({"exit_status": 4}, Status.FAIL, "ended with exit status 4"),
        ({"lost": Lost("guest lost in phase: x"), "exit_status": None}, Status.LOST, "phase: x"),
        ({"audit": ("1 pages: it is tag storage",)}, Status.FAIL, "the auditor finds pages"),
        ({"unaudited": "no vmcoreinfo"}, Status.ERROR, "could not be audited: no vmcoreinfo"),
        ({"document": ktap.parse("")}, Status.ERROR, "no KTAP version line"),
        ({"document": document("ok 1 a # SKIP no")}, Status.ERROR, "skipped itself"),
        ({"document": document("ok 1 a # XPASS")}, Status.FAIL, "expected to fail"),
        ({"document": document("not ok 1 a # TIMEOUT 9")}, Status.FAIL, "a: 9"),
        ({"document": document("not ok 1 a # ERROR x")}, Status.FAIL, "a: x"),
        ({"document": document("not ok 1 a"), "exit_status": 0}, Status.FAIL, "a"),
    ],
)
def test_not_a_pass(change: dict[str, object], status: Status, text: str) -> None:
    verdict = judge(replace(GOOD, **change))  # type: ignore[arg-type]
    assert verdict.status is status
    assert text in verdict.title
    assert verdict.status.exit_status != errors.OK
    assert not verdict.status.good


def test_xfail_is_accepted() -> None:
    assert judge(replace(GOOD, document=document("not ok 1 a # XFAIL known"))).status is Status.PASS


def test_worst_reason_comes_first_and_all_are_told() -> None:
    evidence = replace(
        GOOD,
        exit_status=1,
        document=document("not ok 1 a"),
        splats=SPLATS,
        lost=Lost("gone", "x\ny"),
    )
    verdict = judge(evidence)
    assert [reason.status for reason in verdict.reasons] == [
        Status.LOST, Status.SPLAT, Status.FAIL,
    ]  # fmt: skip
    assert verdict.reasons[0].details == ("x", "y")
    assert verdict.status.exit_status == errors.GUEST_LOST


def test_allowed_skip_is_good_but_no_pass() -> None:
    skip = replace(GOOD, document=document("ok 1 a", "ok 2 b # SKIP no zswap here"))
    verdict = judge(replace(skip, allowed_skips={"CONFIG_ZSWAP": "zswap"}))
    assert verdict.status is Status.SKIP
    assert verdict.status.good
    assert verdict.status.exit_status == errors.OK
    assert "CONFIG_ZSWAP is not set" in verdict.title


def test_skip_for_another_reason_than_the_missing_symbol_is_an_error() -> None:
    skip = replace(GOOD, document=document("ok 1 a # SKIP no MTE"))
    assert judge(replace(skip, allowed_skips={"CONFIG_ZSWAP": "zswap"})).status is Status.ERROR


def test_program_that_skips_itself_as_a_whole() -> None:
    whole = Evidence(exit_status=4, document=ktap.parse("TAP version 13\n1..0 # SKIP no KSM\n"))
    assert judge(whole).status is Status.ERROR
    assert judge(replace(whole, allowed_skips={"CONFIG_KSM": "KSM"})).status is Status.SKIP


def test_program_without_ktap_is_judged_by_its_exit_status() -> None:
    assert judge(Evidence(exit_status=0)).status is Status.PASS
    verdict = judge(Evidence(exit_status=3, stderr="cannot open\nx\n"))
    assert verdict.status is Status.FAIL
    assert verdict.reasons[0].details == ("cannot open", "x")


def test_counter_that_did_not_come_back() -> None:
    before, after = (Counters({"SwapTotal": n}, {}) for n in (0, 4))
    verdict = judge(replace(GOOD, counters=returned(before, after)))
    assert verdict.status is Status.FAIL
    assert verdict.title.startswith("not given back: SwapTotal: 0 before, 4 kB after")


def test_lost_guest_keeps_what_the_program_had_said() -> None:
    half = ktap.parse("KTAP version 1\n1..3\nnot ok 1 a\n")
    verdict = judge(Evidence(exit_status=None, document=half, taint_after=None, lost=Lost("gone")))
    assert [reason.text for reason in verdict.reasons] == ["gone", "a"]
