# SPDX-License-Identifier: MIT
"""What changed since the last night: each class, from the records on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.history.changes import CLOSE_AFTER, Kind, Seen, attribution, classify
from harness.history.night import COMES_UP, KernelRun, Night, Planned, State, TestRun
from tests.unit.night_sample import CONTEXT, ENTRY, KERNEL, keep, look, nights, ran, run_of

if TYPE_CHECKING:
    from pathlib import Path

    from harness.history.review import Review, Row


def kinds(results: Path, letters: str) -> list[Kind]:
    """Return the kinds of a test on its last night, beside another that passes."""
    nights(results, {"swap": letters, "other": "p" * len(letters)})
    seen = look(results)
    return [kind for kind, rows in seen.rows.items() for row in rows if row.subject.test == "swap"]


def only(seen: Review, kind: Kind) -> Row:
    (row,) = seen.rows[kind]
    return row


@pytest.mark.parametrize(
    ("letters", "kind"),
    [
        ("ppf", Kind.REGRESSION),
        ("pef", Kind.REGRESSION),  # a night without a verdict is looked through
        ("p-f", Kind.REGRESSION),
        ("pfp", Kind.FIXED),
        ("--f", Kind.NEW_FAILURE),
        ("-sf", Kind.NEW_FAILURE),
        ("pff", Kind.STILL_FAILING),
        ("pfef", Kind.STILL_FAILING),
        ("-ep", Kind.NEW_PASS),
        ("--p", Kind.APPEARED),
        ("--s", Kind.APPEARED),
        ("pp-", Kind.DISAPPEARED),
        ("ff-", Kind.DISAPPEARED),
        ("pps", Kind.DISAPPEARED),  # skipped: it is not looked at any more
        ("ppss", Kind.DISAPPEARED),
        ("ppu", Kind.HOLE),
        ("ppe", Kind.COULD_NOT_RUN),
        ("--e", Kind.COULD_NOT_RUN),
        ("kk", Kind.KNOWN),
        ("-k", Kind.KNOWN),
        ("ppk", Kind.REGRESSION),  # a known bug shows where it did not
        ("kkp", Kind.KNOWN_GONE),
        ("kkE", Kind.KNOWN_GONE),
        ("kkEE", Kind.KNOWN_GONE),
        ("kkf", Kind.REGRESSION),  # it fails in another way than it is known to
        ("pfpf", Kind.UNSTABLE),
        ("pfpfp", Kind.UNSTABLE),
        ("pfpf" + "p" * 14, Kind.UNSTABLE),
        ("kp" + "p" * 9, Kind.KNOWN_GONE),
        ("pfpx", Kind.REGRESSION),  # a crash is never unstable
        ("pfpfx", Kind.REGRESSION),  # and worse than a failure
        ("fx", Kind.REGRESSION),
        ("xfx", Kind.STILL_FAILING),
        ("kpkpf", Kind.REGRESSION),  # a known bug comes and goes; this is another failure
        ("kpkpk", Kind.UNSTABLE),
        ("pxpxp", Kind.FIXED),
        ("pll", Kind.STILL_FAILING),
    ],
)
def test_a_class(tmp_path: Path, letters: str, kind: Kind) -> None:
    assert kinds(tmp_path, letters) == [kind]


@pytest.mark.parametrize("letters", ["pp", "pup", "p-p", "ss", "pfpf" + "p" * 15])
def test_nothing_to_tell(tmp_path: Path, letters: str) -> None:
    assert kinds(tmp_path, letters) == []


# What was an alarm on the night before.
TOLD = ("pee", "pss", "kpp", "kEE", "kEp", "pEE")


def test_each_alarming_kind_makes_the_night_alarming(tmp_path: Path) -> None:
    for number, letters in enumerate(("pf", "-f", "p-", "kp", "pe", "-e", "ps", "ppE")):
        nights(tmp_path / str(number), {"swap": letters, "other": "p" * len(letters)})
        assert look(tmp_path / str(number)).alarming
    for number, letters in enumerate(("pp", "ff", "fp", "-p", "kk", "pu", "pfpf", *TOLD), 10):
        nights(tmp_path / str(number), {"swap": letters, "other": "p" * len(letters)})
        assert not look(tmp_path / str(number)).alarming, letters


def test_a_known_bug_may_be_closed_after_some_nights(tmp_path: Path) -> None:
    nights(tmp_path, {"bug": "k" + "p" * (CLOSE_AFTER - 1)})
    assert "is it fixed" in only(look(tmp_path), Kind.KNOWN_GONE).change.why
    for number, letter in enumerate("pE"):
        nights(tmp_path / str(number), {"bug": "k" + letter * CLOSE_AFTER})
        seen = look(tmp_path / str(number))
        why = only(seen, Kind.KNOWN_GONE).change.why
        assert f"{CLOSE_AFTER} nights in a row: it may be closed" in why
        assert seen.alarming


def test_a_known_bug_that_passes_alarms_once_and_stays_on_the_page(tmp_path: Path) -> None:
    nights(tmp_path, {"bug": "kpp"})
    seen = look(tmp_path)
    assert Kind.KNOWN_GONE in seen.rows
    assert not seen.alarming


def test_an_alarm_of_a_case_is_not_lost_below_an_old_one(tmp_path: Path) -> None:
    def night(one: State, two: State) -> TestRun:
        return ran(
            "bug",
            State.KNOWN,
            cases={one: ("a",), two: ("b",)} if one != two else {one: ("a", "b")},
        )

    keep(tmp_path, run_of(1, [night(State.KNOWN, State.KNOWN)]))
    keep(tmp_path, run_of(2, [night(State.PASS, State.KNOWN)]))
    keep(tmp_path, run_of(3, [night(State.PASS, State.PASS)]))
    seen = look(tmp_path)
    row = only(seen, Kind.KNOWN_GONE)
    assert (row.subject.case, seen.alarming) == ("b", True)


@pytest.mark.parametrize(
    ("prints", "kind"), [("aa", "still failing"), ("ab", "regression"), ("aba", "still failing")]
)
def test_another_splat_of_a_test_that_fails_anyway_is_new(
    tmp_path: Path, prints: str, kind: str
) -> None:
    for night, name in enumerate(prints, 1):
        keep(tmp_path, run_of(night, [ran("swap", State.SPLAT, fingerprint=name)]))
    assert [str(kind) for kind in look(tmp_path).rows] == [kind]


def test_a_night_that_nobody_was_told_of_is_looked_through(tmp_path: Path) -> None:
    """It was interrupted, and the next one is another: what it found first is told now."""
    nights(tmp_path, {"swap": "pff", "gone": "p--", "other": "ppp"})
    assert not look(tmp_path).alarming
    seen = look(tmp_path, untold=["20261102-200000"])
    assert only(seen, Kind.REGRESSION).subject.test == "swap"
    assert only(seen, Kind.DISAPPEARED).subject.test == "gone"
    assert only(seen, Kind.REGRESSION).since == "20261101-200000"


def test_what_a_suite_in_rotation_lost_has_disappeared_once(tmp_path: Path) -> None:
    keep(tmp_path, run_of(1, [ran("swap")], selection="1 of 2 (a)"))
    keep(tmp_path, run_of(2, [ran("other")], selection="1 of 1 (b)", gone=("swap",)))
    assert only(look(tmp_path), Kind.DISAPPEARED).subject.test == "swap"
    keep(tmp_path, run_of(3, [ran("other")], selection="1 of 1 (b)", gone=("swap",)))
    assert not look(tmp_path).rows


# --- holes ----------------------------------------------------------------------


def test_a_run_that_was_cut_short_lets_nothing_disappear(tmp_path: Path) -> None:
    tests = [ran("swap"), ran("other")]
    keep(tmp_path, run_of(1, tests), run_of(2, tests[1:], errors=("QEMU was killed",)))
    seen = look(tmp_path)
    assert Kind.DISAPPEARED not in seen.rows
    assert seen.holes == ((ENTRY, "cut short: QEMU was killed"),)
    assert only(seen, Kind.HOLE).subject.test == "swap"


def test_after_a_cut_run_the_last_whole_one_counts(tmp_path: Path) -> None:
    both = [ran("swap"), ran("other")]
    keep(tmp_path, run_of(1, both), run_of(2, both[1:], errors=("x",)), run_of(3, both[1:]))
    assert only(look(tmp_path), Kind.DISAPPEARED).subject.test == "swap"


def test_another_selection_lets_nothing_disappear(tmp_path: Path) -> None:
    both = [ran("swap"), ran("other")]
    keep(tmp_path, run_of(1, both), run_of(2, both[1:], selection="1 of 2 (ab)"))
    assert Kind.DISAPPEARED not in look(tmp_path).rows


def test_a_kernel_that_is_gone_is_a_hole(tmp_path: Path) -> None:
    both = [ran("swap"), ran("other")]
    keep(tmp_path, run_of(1, both), run_of(2, both[1:], not_run={"swap": "base gone: x"}))
    seen = look(tmp_path)
    assert Kind.DISAPPEARED not in seen.rows
    assert seen.holes == ((f"swap of {ENTRY}", "base gone: x"),)


def test_a_test_without_a_verdict_is_in_the_list_with_its_reason(tmp_path: Path) -> None:
    untested = ran("swap", State.UNTESTED, reason="no stale frame in five guests")
    keep(tmp_path, run_of(1, [ran("swap")]), run_of(2, [untested]))
    assert look(tmp_path).holes == (("swap on stock@emulator", "no stale frame in five guests"),)


def test_an_entry_that_did_not_run_is_a_hole_with_its_reason(tmp_path: Path) -> None:
    keep(tmp_path, run_of(1, [ran("swap")]), run_of(1, [ran("dram")], entry="b"))
    keep(tmp_path, run_of(2, [ran("swap")]))
    seen = look(tmp_path)
    assert not seen.alarming
    ((what, why),) = seen.holes
    assert (what, "no longer in the matrix" in why) == ("b", True)
    planned = Planned("b", "validation", "b", "", "", "", 1, 60, 1, left_out="no time: 60 s")
    night = Night("20261102-200000", "", "", 0, (planned,))
    assert look(tmp_path, night).holes == (("b", "no time: 60 s"),)


def test_cases_that_a_failed_test_did_not_get_to_have_not_gone(tmp_path: Path) -> None:
    whole = ran("swap", cases={State.PASS: ("one", "two")})
    lost = ran("swap", State.LOST, cases={State.PASS: ("one",)})
    short = ran("swap", cases={State.PASS: ("one",)})
    keep(tmp_path, run_of(1, [whole]), run_of(2, [lost]))
    seen = look(tmp_path)
    assert Kind.DISAPPEARED not in seen.rows
    keep(tmp_path / "2", run_of(1, [whole]), run_of(2, [short]))
    assert only(look(tmp_path / "2"), Kind.DISAPPEARED).subject.case == "two"


def test_cases_of_a_test_that_passes_without_any_have_gone(tmp_path: Path) -> None:
    keep(tmp_path, run_of(1, [ran("swap", cases={State.PASS: ("one",)})]), run_of(2, [ran("swap")]))
    assert only(look(tmp_path), Kind.DISAPPEARED).subject.case == "one"


def test_a_kernel_that_does_not_come_up_is_one_regression(tmp_path: Path) -> None:
    up, swap = ran(COMES_UP), ran("swap")
    down = ran(COMES_UP, State.LOST, reason="no ready line")
    keep(tmp_path, run_of(1, [up, swap]), run_of(2, [down], errors=("stock: x",), kernels=()))
    seen = look(tmp_path)
    assert [kind for kind in seen.rows if kind.alarming] == [Kind.REGRESSION]
    row = only(seen, Kind.REGRESSION)
    assert row.subject.test == COMES_UP
    assert row.cause == "only this changed: kernel stock: 7.3.4 (8f1e0c5a) → unknown"


# --- what else changed ----------------------------------------------------------


def test_cases_are_below_their_test(tmp_path: Path) -> None:
    good = ran("swap", cases={State.PASS: ("one", "two")})
    bad = ran("swap", State.FAIL, cases={State.PASS: ("two",), State.FAIL: ("one",)})
    keep(tmp_path, run_of(1, [good]), run_of(2, [bad]))
    row = only(look(tmp_path), Kind.REGRESSION)
    assert (row.subject.case, row.cases) == ("", ("one",))
    assert look(tmp_path).counts[Kind.REGRESSION] == 2


NEWER = KernelRun("stock", "emulator", "0000000000000000", "7.3.5")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "nothing else changed"),
        ({"kernels": (NEWER,)}, "only this changed: kernel stock: 7.3.4 (8f1e0c5a) → 7.3.5"),
        ({"context": replace(CONTEXT, qemu="11")}, "only this changed: QEMU: "),
        ({"context": replace(CONTEXT, harness="1")}, "only this changed: harness: c0ffee → 1"),
        ({"context": replace(CONTEXT, compiler="1")}, "only this changed: compiler"),
        ({"context": replace(CONTEXT, host="1")}, "only this changed: host"),
        (
            {"kernels": (NEWER,), "context": replace(CONTEXT, qemu="11")},
            "it cannot be told which did it: kernel stock and QEMU changed",
        ),
    ],
)
def test_what_else_changed(tmp_path: Path, fields: dict[str, object], said: str) -> None:
    keep(tmp_path, run_of(1, [ran("swap")]))
    keep(tmp_path, run_of(2, [ran("swap", State.FAIL, reason="tag 9, saw 0")], **fields))
    row = only(look(tmp_path), Kind.REGRESSION)
    assert row.cause.startswith(said)
    assert (row.since, row.reason) == ("20261101-200000", "tag 9, saw 0")


def test_a_test_with_two_kernels_names_the_one_that_changed(tmp_path: Path) -> None:
    other = replace(KERNEL, name="tag-storage", machine="dram")
    for night, second in ((1, other), (2, replace(other, key="0123456789"))):
        state = State.PASS if night == 1 else State.FAIL
        test = ran("cost", state, kernel="stock, tag-storage", machine="emulator, dram")
        keep(tmp_path, run_of(night, [test], kernels=(KERNEL, second)))
    assert only(look(tmp_path), Kind.REGRESSION).cause == (
        "only this changed: kernel tag-storage: 7.3.4 (8f1e0c5a) → 7.3.4 (01234567)"
    )


def test_the_run_of_the_last_verdict_is_the_one_that_counts(tmp_path: Path) -> None:
    """QEMU changed on the night of the error between them, so it changed since the pass."""
    new = replace(CONTEXT, qemu="11")
    keep(tmp_path, run_of(1, [ran("swap")]))
    keep(tmp_path, run_of(2, [ran("swap", State.ERROR)], context=new))
    keep(tmp_path, run_of(3, [ran("swap", State.FAIL)], context=new))
    row = only(look(tmp_path), Kind.REGRESSION)
    assert (row.since, row.cause) == (
        "20261101-200000",
        "only this changed: QEMU: QEMU emulator version 10.0.2 → 11",
    )


def test_the_same_test_on_another_machine_is_another(tmp_path: Path) -> None:
    dram = [ran("swap", State.FAIL, machine="dram/carveout")]
    keep(tmp_path, run_of(1, [ran("swap")]), run_of(2, [ran("swap"), *dram]))
    seen = look(tmp_path)
    assert set(seen.rows) == {Kind.NEW_FAILURE}
    assert KERNEL.machine == "emulator"


def test_numbers_of_a_test_are_told() -> None:
    earlier = [
        Seen(n, State.PASS if letter == "p" else State.FAIL) for n, letter in enumerate("pfp")
    ]
    numbers = classify(earlier, State.FAIL, expected=True).numbers
    assert (numbers.passes, numbers.fails, numbers.flips, numbers.streak) == (2, 2, 3, 1)
    assert str(numbers) == "2 passes, 2 failures, 3 flips, last 1 failed"


def test_three_changes_are_all_named() -> None:
    assert "a and b and c changed" in attribution(["a: 1 → 2", "b: 1 → 2", "c: 1 → 2"])
