# SPDX-License-Identifier: MIT
"""The KTAP parser: the format's own examples, kselftest's dialect, and whatever can go wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.ktap import Outcome, parse

PROBE = """\
KTAP version 1
1..3
ok 1 swap_in
# swap_disk.c:41: page 3 granule 7: expected tag 9, saw 0
# and 2 more failed checks
not ok 2 swap_out
ok 3 zswap # SKIP CONFIG_ZSWAP is off
"""

SELFTEST = """\
TAP version 13
1..4
ok 1 Check buffer write underflow by byte
# FAIL: mmap allocation
not ok 2 Check buffer write underflow by byte
ok 3 # SKIP Check hugetlb
ok 4 known broken # XFAIL not on this core
# Totals: pass:1 fail:1 xfail:1 xpass:0 skip:1 error:0
"""

# Documentation/dev-tools/ktap.rst, "Example KTAP output".
NESTED = """\
KTAP version 1
1..1
  KTAP version 1
  1..3
    KTAP version 1
    1..1
    # test_1: initializing test_1
    ok 1 test_1
  ok 1 example_test_1
    KTAP version 1
    1..2
    ok 1 test_1 # SKIP test_1 skipped
    ok 2 test_2
  ok 2 example_test_2
    KTAP version 1
    1..3
    ok 1 test_1
    # test_2: FAIL
    not ok 2 test_2
    ok 3 test_3 # SKIP test_3 skipped
  not ok 3 example_test_3
not ok 1 main_test
"""


def test_probe() -> None:
    document = parse(PROBE)
    assert document.problems == ()
    assert document.version == "KTAP version 1"
    assert document.plan == 3
    one, two, three = document.results
    assert (one.number, one.name, one.outcome, one.diagnostics) == (1, "swap_in", Outcome.PASS, ())
    assert two.outcome is Outcome.FAIL
    assert two.diagnostics == (
        "swap_disk.c:41: page 3 granule 7: expected tag 9, saw 0",
        "and 2 more failed checks",
    )
    assert (three.name, three.outcome, three.reason) == (
        "zswap", Outcome.SKIP, "CONFIG_ZSWAP is off",
    )  # fmt: skip
    assert not document.passed


def test_kselftest_dialect() -> None:
    document = parse(SELFTEST)
    assert document.problems == ()  # in TAP a description may repeat: the number is the name
    assert [result.outcome for result in document.results] == [
        Outcome.PASS, Outcome.FAIL, Outcome.SKIP, Outcome.XFAIL,
    ]  # fmt: skip
    assert (document.results[2].name, document.results[2].reason) == ("", "Check hugetlb")
    assert document.diagnostics == ("Totals: pass:1 fail:1 xfail:1 xpass:0 skip:1 error:0",)


def test_nested() -> None:
    document = parse(NESTED)
    assert document.problems == ()
    (main,) = document.results
    assert (main.name, main.outcome) == ("main_test", Outcome.FAIL)
    assert [sub.name for sub in main.subtests] == [
        "example_test_1", "example_test_2", "example_test_3",
    ]  # fmt: skip
    first, second, third = main.subtests
    assert first.subtests[0].diagnostics == ("test_1: initializing test_1",)
    assert [sub.outcome for sub in second.subtests] == [Outcome.SKIP, Outcome.PASS]
    assert [sub.outcome for sub in third.subtests] == [Outcome.PASS, Outcome.FAIL, Outcome.SKIP]


def test_all_passed() -> None:
    assert parse("KTAP version 1\n1..2\nok 1 a\nok 2 b\n").passed


def test_skipped_as_a_whole() -> None:
    document = parse("TAP version 13\n1..0 # SKIP MTE is not supported\n")
    assert document.skipped == "MTE is not supported"
    assert document.problems == ()
    assert not document.passed


@pytest.mark.parametrize(
    ("line", "outcome", "name", "reason"),
    [
        ("ok 1 a # SKIP", Outcome.SKIP, "a", ""),
        ("not ok 1 a # SKIP why", Outcome.SKIP, "a", "why"),
        ("ok 1 a # skip why", Outcome.SKIP, "a", "why"),
        ("ok 1 a # SKIP: why", Outcome.SKIP, "a", "why"),
        ("not ok 1 a # TODO later", Outcome.XFAIL, "a", "later"),
        ("ok 1 a # XPASS", Outcome.XPASS, "a", ""),
        ("not ok 1 a # TIMEOUT 30 seconds", Outcome.TIMEOUT, "a", "30 seconds"),
        ("not ok 1 a # ERROR no memory", Outcome.ERROR, "a", "no memory"),
        ("ok 1 a # ERROR no memory", Outcome.ERROR, "a", "no memory"),
        ("ok 1 a # rcode=0", Outcome.PASS, "a", "rcode=0"),
        ("ok 1 - a dash", Outcome.PASS, "a dash", ""),
        ("ok 1", Outcome.PASS, "", ""),
        ("not ok 1 a # SKIPPED", Outcome.FAIL, "a", "SKIPPED"),
    ],
)
def test_result_line(line: str, outcome: Outcome, name: str, reason: str) -> None:
    document = parse(f"KTAP version 1\n1..1\n{line}\n")
    assert document.problems == ()
    (result,) = document.results
    assert (result.outcome, result.name, result.reason) == (outcome, name, reason)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no KTAP version line"),
        ("Segmentation fault\n", "no KTAP version line"),
        ("ok 1 a\n", "without a version line above it"),
        ("1..1\nok 1 a\n", "a plan line without a version line"),
        ("KTAP version 1\nok 1 a\n", "no plan line; 1 results came"),
        ("KTAP version 1\n1..2\nok 1 a\n", "promised 2 results, only 1 came"),
        ("KTAP version 1\n1..1\nok 1 a\nok 2 b\n", "promised 1 results, 2 came"),
        ("KTAP version 1\n1..2\nok 1 a\nok 3 b\n", "result 3 where 2 was due"),
        ("KTAP version 1\n1..2\nok 1 a\nok 1 b\n", "result 1 where 2 was due"),
        ("KTAP version 1\n1..1\nok 0 a\n", "result 0 where 1 was due"),
        ("KTAP version 1\n1..2\nok 1 a\nok 2 a\n", "two results are named 'a'"),
        ("KTAP version 1\n1..1\nok a\n", "a result line without a number"),
        ("KTAP version 1\n1..1\n1..1\nok 1 a\n", "a second plan line"),
        ("TAP version 13\n1..1\n1..2\nok 1 a\n", "a second plan line"),
        ("TAP version 13\n1..2\nok 1 a\n1..2\nok 2 b\n", "a second plan line"),
        ("TAP version 13\n1..1\nok 1 a\nTAP version 13\n", "a second version line"),
        ("KTAP version 1\n1..1\nKTAP version 1\nok 1 a\n", "a second version line"),
        ("KTAP version 1\nok 1 a\n1..1\n", "the plan line comes after the first result"),
        ("KTAP version 9\n1..1\nok 1 a\n", "unknown version line"),
        ("KTAP version 1\n1..0\n", "gives no SKIP reason"),
        ("KTAP version 1\n1..0 # SKIP x\nok 1 a\n", "yet 1 results came"),
        ("KTAP version 1\n1..2\nok 1 a\nBail out! no memory\n", "bailed out: no memory"),
        ("KTAP version 1\n1..1\nBail out!\nok 1 a\n", "a result after the program bailed out"),
        ("KTAP version 1\n1..1\n  ok 1 a\nok 1 b\n", "without a version line above it"),
        ("KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 a\n", "without the result they"),
        (
            "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 a\nok 1 b\n",
            "subtests: the plan",
        ),
        ("KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  not ok 1 a\nok 1 b\n", "is ok, but"),
        ("KTAP version 1\n1..1\nok 1 a", "ends in the middle of a line"),
        (SELFTEST.replace("fail:1", "fail:0"), "counts fail:0, 1 such results came"),
        (SELFTEST + "ok 5 late\n", "a result after the totals"),
    ],
)
def test_problem(text: str, problem: str) -> None:
    document = parse(text)
    assert any(problem in said for said in document.problems), document.problems
    assert not document.passed


def test_noise_is_kept_and_is_no_problem() -> None:
    document = parse(b"hello \xff\x00\nKTAP version 1\n1..1\n[    1.0] kernel words\r\nok 1 a\r\n")
    assert document.passed
    assert document.noise == ("hello \ufffd\x00", "[    1.0] kernel words")


def test_ten_thousand_levels() -> None:
    text = "".join(" " * i + "KTAP version 1\n" for i in range(2000))
    assert parse(text).problems


@given(st.text())
def test_never_raises(text: str) -> None:
    document = parse(text)
    assert document.passed is False or text


@given(st.binary())
def test_never_raises_on_bytes(data: bytes) -> None:
    parse(data)


LINES = st.sampled_from(
    [line + "\n" for line in {*PROBE.splitlines(), *SELFTEST.splitlines(), *NESTED.splitlines()}]
    + ["Bail out! x\n", "1..0 # SKIP\n", "1..99999999999\n", "ok\n", "not ok\n", "ok 1", "#\n"]
)


@given(st.lists(LINES))
def test_shuffled_lines_never_raise(lines: list[str]) -> None:
    parse("".join(lines))


@given(planned=st.integers(1, 30), given_=st.integers(0, 30))
def test_only_a_kept_plan_has_no_problem(planned: int, given_: int) -> None:
    results = "".join(f"ok {i} case_{i}\n" for i in range(1, given_ + 1))
    document = parse(f"KTAP version 1\n1..{planned}\n{results}")
    assert document.passed is (planned == given_)


@given(st.integers(0, len(PROBE) - 1))
def test_any_truncation_is_a_problem(end: int) -> None:
    assert parse(PROBE[:end]).problems


def test_a_head_that_children_of_a_selftest_print_again() -> None:
    head = "TAP version 13\n1..1\n"
    document = parse(
        f"{head}{head}{head}ok 1 a\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\n"
    )
    assert document.problems == ()
    assert [result.name for result in document.results] == ["a"]
