# SPDX-License-Identifier: MIT
"""Records are the truth: the database follows them, and refuses what is damaged."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import ArtifactError
from harness.core.ktap import KtapResult, Outcome
from harness.core.paths import checkout
from harness.history import database, from_report, mail
from harness.history.database import FILE, opened
from harness.history.from_report import kernels_of, lasting_name, measures_of, node_name, results_of
from harness.history.long_past import spans
from harness.history.night import State, load_run, run_files, save
from harness.verdict.result import Reason, Status
from tests.unit.night_sample import keep, look, name_of, nights, ran, run_of
from tests.unit.report_sample import changed, good_report, sample_report

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.model import TestRecord


def states(results: Path) -> list[tuple[str, str, str]]:
    with opened(results) as found:
        rows = found.execute(
            "SELECT night, test, state FROM result JOIN run ON run.id = run "
            "JOIN subject ON subject.id = subject WHERE name = '' ORDER BY night, test"
        )
        return [(night, test, database.STATES[state]) for night, test, state in rows]


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    run = run_of(1, [ran("swap", State.FAIL, cases={State.FAIL: ("ab",)}, reason="x")])
    save(run, tmp_path / "one.json")
    assert load_run(tmp_path / "one.json") == run


def test_bytes_that_are_not_utf_8_are_spelled_out(tmp_path: Path) -> None:
    """The reason may name a path; neither SQLite nor a mail takes a lone surrogate."""
    keep(tmp_path, run_of(1, [ran("swap", State.FAIL, reason="/tmp/\udcff \\udcff")]))
    assert states(tmp_path) == [(name_of(1), "swap", "fail")]
    (run,) = map(load_run, run_files(tmp_path))
    assert run.tests[0].reason == "/tmp/\\udcff \\udcff"
    mail.message(look(tmp_path), "/x")


@pytest.mark.parametrize(
    "change",
    [{"schema": 99}, {"seconds": "5"}, {"unknown": 1}, {"tests": [{"test": "x"}]}, {"night": None}],
)
def test_a_damaged_record_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "one.json"
    save(run_of(1, [ran("swap")]), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ArtifactError, match=str(path)):
        load_run(path)
    path.write_text("{")
    with pytest.raises(ArtifactError, match=str(path)):
        load_run(path)


def test_new_records_are_added(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pf"})
    assert [state for _, _, state in states(tmp_path)] == ["pass", "fail"]
    keep(tmp_path, run_of(3, [ran("swap")]))
    made = (tmp_path / FILE).stat().st_ino
    assert [state for _, _, state in states(tmp_path)] == ["pass", "fail", "pass"]
    assert (tmp_path / FILE).stat().st_ino == made  # added to, not made anew


def test_it_is_made_anew_when_a_record_changed_or_went_or_came_late(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "ppp"})
    states(tmp_path)
    first, second, third = run_files(tmp_path)
    save(run_of(2, [ran("swap", State.LOST)]), second)
    assert [state for _, _, state in states(tmp_path)] == ["pass", "lost", "pass"]
    text = first.read_bytes()
    first.unlink()
    assert [state for _, _, state in states(tmp_path)] == ["lost", "pass"]
    first.write_bytes(text)
    assert [night for night, _, _ in states(tmp_path)] == [name_of(n) for n in (1, 2, 3)]
    with opened(tmp_path) as found:
        assert found.execute("SELECT night FROM run ORDER BY id").fetchall() == [
            (name_of(n),) for n in (1, 2, 3)
        ]
    assert third.is_file()


@pytest.mark.parametrize("text", [b"", b"not a database, but long enough to be looked at" * 9])
def test_a_damaged_database_is_made_anew(tmp_path: Path, text: bytes) -> None:
    nights(tmp_path, {"swap": "p"})
    (tmp_path / FILE).write_bytes(text)
    assert len(states(tmp_path)) == 1


def test_a_database_of_another_version_is_made_anew(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "p"})
    states(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.executescript("DELETE FROM result; PRAGMA user_version = 99;")
    assert len(states(tmp_path)) == 1


def test_a_database_that_is_damaged_inside_is_named(tmp_path: Path) -> None:
    nights(tmp_path, {f"swap{n}": "p" for n in range(200)})
    states(tmp_path)
    whole = bytearray((tmp_path / FILE).read_bytes())
    whole[8192:] = bytes(len(whole) - 8192)
    (tmp_path / FILE).write_bytes(whole)
    with pytest.raises(ArtifactError, match=f"{FILE}.*remove it"):
        look(tmp_path)


def test_of_two_results_of_one_test_the_worse_is_kept(tmp_path: Path) -> None:
    keep(tmp_path, run_of(1, [ran("a", State.LOST), ran("a", State.KNOWN), ran("a")]))
    assert [state for _, _, state in states(tmp_path)] == ["lost"]


def test_a_test_that_is_about_a_bug_only_later(tmp_path: Path) -> None:
    keep(tmp_path, run_of(1, [ran("a")]), run_of(2, [ran("a", State.KNOWN, bug="docs/x.md")]))
    keep(tmp_path, run_of(3, [ran("a")]))
    with opened(tmp_path) as found:
        assert found.execute("SELECT bug FROM subject").fetchall() == [("docs/x.md",)]


def test_spans(tmp_path: Path) -> None:
    nights(tmp_path, {"swap": "pppffp"})
    with opened(tmp_path) as found:
        (of_swap,) = spans(found).values()
    assert [str(span) for span in of_swap] == [
        f"pass from {name_of(1)} to {name_of(3)}, 3 runs",
        f"fail from {name_of(4)} to {name_of(5)}, 2 runs",
        f"pass on {name_of(6)}",
    ]


# --- from a report --------------------------------------------------------------


def record(**fields: object) -> TestRecord:
    return replace(good_report().tests[0], **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (
            {"id": "t/test_probes.py::test_probe[stock-swap]", "name": "swap", "area": "x"},
            "x/swap",
        ),
        (
            {"id": "t/test_boot.py::test_up[stock]", "name": "test_up", "area": "boot"},
            "boot/test_up",
        ),
        (
            {"id": "t/test_s.py::test_s[stock-check_prctl]", "name": "test_s", "area": "s"},
            "s/test_s[check_prctl]",
        ),
        (
            {"id": "t/test_m.py::test_c[m-1-x]", "name": "test_c", "area": "m", "target": ""},
            "m/test_c[m-1-x]",
        ),
        (
            {"id": "t/test_m.py::test_c[swap]", "name": "swap", "area": "x", "target": ""},
            "m/test_c[swap]",
        ),
    ],
)
def test_names_that_last(fields: dict[str, object], name: str) -> None:
    made = record(**{"target": "stock", **fields})
    assert lasting_name(made) == name
    if not made.target:
        assert node_name(made.id) == name


def test_states_and_cases_of_a_report() -> None:
    report = sample_report()
    named = tuple(
        replace(test, target=test.kernel) for test in report.tests if test.kernel != "stock"
    )
    tests = {test.test.partition("/")[2]: test for test in results_of(replace(report, tests=named))}
    broken = tests["swap_disk"]
    assert (broken.state, broken.reason) == (
        State.FAIL,
        "tags_survive_swap: swap_disk.c:88: after swap-in: page 0 granule 3: expected tag 9, saw 0",
    )
    assert broken.cases == {
        State.PASS: ("swapped_out",), State.FAIL: ("tags_survive_swap",), State.SKIP: ("zswap",),
    }  # fmt: skip
    assert broken.about.endswith("is < the first sentence.")
    assert tests["swap_zram"].state is State.SPLAT
    assert tests["swap_zram"].fingerprint.startswith("kasan-")
    assert tests["swap_off"].state is State.LOST
    assert kernels_of(sample_report())[0].key == "8f1e0c5ad3b94e21"


FAILED = (KtapResult(1, "one", Outcome.FAIL),)
PASSED = (KtapResult(1, "one", Outcome.PASS),)


@pytest.mark.parametrize(
    ("text", "status", "cases", "state", "bug"),
    [
        ("known bug (docs/x/y.md): one", Status.SKIP, FAILED, State.KNOWN, "docs/x/y.md"),
        ("known bug, fixed in 25c17c4: one", Status.SKIP, FAILED, State.KNOWN, "fixed in 25c17c4"),
        ("AssertionError: it no longer shows on 7.3", Status.FAIL, PASSED, State.EXPIRED, ""),
        ("not given back: SUnreclaim", Status.FAIL, PASSED, State.FAIL, ""),
        ("something else", Status.FAIL, FAILED, State.FAIL, ""),
        ("no_asymm: CONFIG_X is not set", Status.SKIP, (), State.SKIP, ""),
    ],
)
def test_known_bugs(
    text: str, status: Status, cases: tuple[KtapResult, ...], state: State, bug: str
) -> None:
    finding = record(name="a_bug", area="findings")
    finding = changed(finding, reasons=(Reason(status, text),), cases=cases)
    (found,) = results_of(replace(good_report(), tests=(finding,)))
    assert (found.state, found.bug) == (state, bug)
    if state is State.KNOWN:
        assert found.cases == {State.KNOWN: ("one",)}


def test_the_words_of_a_bug_that_is_gone_are_those_of_the_test() -> None:
    assert (
        from_report._GONE in (checkout("a test") / "tests/validation/test_findings.py").read_text()
    )


def test_a_test_whose_guest_did_not_come_up_is_the_same_test() -> None:
    tests = [
        record(id=f"t/test_p.py::test_p[stock-{n}]", target="stock", machine=n) for n in ("", "m")
    ]
    assert {test.machine for test in results_of(replace(good_report(), tests=tuple(tests)))} == {
        "m"
    }


def test_measures_are_sums_of_a_run() -> None:
    found = {(m.name, m.kernel): m for m in measures_of(good_report(), "QEMU 11.1")}
    left = found["left behind: SUnreclaim", "stock"]
    assert left.value == sum(n * 13 % 90 for n in range(14))
    assert (left.unit, left.machine) == ("kB", "emulator (QEMU 11.1)")
    assert found["boot", "stock"].value == 1.31
