# SPDX-License-Identifier: MIT
"""The report's model, and its JSON."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from harness.core import ktap
from harness.core.errors import ArtifactError
from harness.report import json_file
from harness.report.model import (
    CHARACTERS_KEPT,
    LINES_KEPT,
    SCHEMA,
    Entry,
    KernelRecord,
    entry_from_json,
    report_from_json,
    shortened,
    to_json,
)
from harness.suite.report_files import write_all
from harness.verdict.evidence import Evidence, ProgramEnd
from harness.verdict.finding import Finding, FindingKind
from harness.verdict.judge import judge
from harness.verdict.patterns import SplatKind
from harness.verdict.result import CounterSample, ProbeResult, Reason, Status
from harness.verdict.splat import Frame, Splat, find_splats
from tests.unit.report_sample import changed, good_report, record_without_kernel, sample_report

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.ktap import KtapResult

FRAME = Frame("mte_restore_tags", 0x44, 0x90)
# Each field of each class differs from its default.
FULL = ProbeResult(
    status=Status.LOST,
    reasons=(Reason(Status.LOST, "gone", ("line",)), Reason(Status.SPLAT, "tainted")),
    cases=ktap.parse(
        "KTAP version 1\n1..2\n# KTAP version 1\n  KTAP version 1\n  1..1\n"
        "  ok 1 inner # SKIP why\n"
        "ok 1 a\n# saw 2\nnot ok 2 b # TIMEOUT 9\n"
    ).results,
    splats=(
        Splat(
            SplatKind.OOPS,
            "Internal error",
            ("Internal error", " x+0x1/0x2"),
            (FRAME,),
            1.5,
            FRAME,
            1,
            "swap/99",
            (("x0", "0000000000000010"),),
        ),
    ),
    samples=(CounterSample(0.5, {"MemFree": 1}), CounterSample(2.5, {"MemFree": 2})),
    findings=(Finding(FindingKind.LEAKED, (7, 8), ("frame 0x7",)),),
    phases={"clone": 0.1, "run": 2.0},
    again={"b": 3},
    note="not reset in between",
    stdout="out \ufffd \u2028\n",
    stderr="err",
    console="[    0.000000] text\n",
)


def through_text(data: dict[str, Any]) -> Any:
    return json.loads(json.dumps(data))


def test_round_trip_through_json_text() -> None:
    report = sample_report()
    assert report_from_json(through_text(to_json(report))) == report


def test_round_trip_of_an_entry_with_one_of_everything() -> None:
    defaults = ProbeResult(Status.PASS)
    for field in fields(ProbeResult):
        assert getattr(FULL, field.name) != getattr(defaults, field.name), field.name
    kernel = KernelRecord("stock", "8f1e", "6.12.117", "a recipe", 1.5, "no tags in DRAM")
    entry = Entry(replace(record_without_kernel(), result=FULL), (kernel,))
    assert entry_from_json(through_text(to_json(entry))) == entry
    nested = entry_from_json(through_text(to_json(entry))).record.result.cases
    assert nested[0].subtests[0].reason == "why"


def test_round_trip_with_whole_numbers_as_seconds() -> None:
    record = replace(sample_report().tests[0], seconds=2.0)
    text = json.dumps(to_json(Entry(record)))
    assert '"seconds": 2.0' in text
    data = json.loads(text.replace('"seconds": 2.0', '"seconds": 2'))
    assert entry_from_json(data).record == record


def test_json_is_plain() -> None:
    """Execnet carries strings, numbers, lists and dictionaries, and no subclass of them."""

    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(type(key) is str and plain(part) for key, part in value.items())
        if isinstance(value, (list, tuple)):
            return all(map(plain, value))
        return type(value) in (str, int, float, bool, type(None))

    assert plain(through_text(to_json(sample_report())))


def test_fingerprint_of_a_splat_is_in_the_json() -> None:
    entry = Entry(replace(record_without_kernel(), result=FULL))
    (splat,) = to_json(entry)["record"]["result"]["splats"]
    assert splat["fingerprint"] == FULL.splats[0].fingerprint
    assert splat["fingerprint"].startswith("oops-")


def test_fingerprint_in_the_json_is_not_believed_but_derived() -> None:
    entry = Entry(replace(record_without_kernel(), result=FULL))
    data = to_json(entry)
    data["record"]["result"]["splats"][0]["fingerprint"] = "oops-000000000000"
    (splat,) = entry_from_json(through_text(data)).record.result.splats
    assert splat.fingerprint == FULL.splats[0].fingerprint


def test_good_and_failures() -> None:
    report = sample_report()
    assert not report.good
    assert [test.status for test in report.failures] == ["lost", "splat", "fail", "fail", "error"]
    assert report.count(Status.FAIL, Status.ERROR) == 3
    assert good_report().good
    assert not replace(good_report(), tests=()).good  # nothing was tried
    assert not replace(good_report(), errors=("no QEMU",)).good


@pytest.mark.parametrize("status", list(Status))
def test_status_of_a_test_is_that_of_its_result(status: Status) -> None:
    record = changed(record_without_kernel(), status=status)
    assert (record.status, record.good) == (status, status.good)
    report = replace(good_report(), tests=(record,))
    assert report.good is status.good
    assert report.failures == (() if status.good else (record,))
    assert [report.count(other) for other in Status] == [other is status for other in Status]


SPLAT_OF_FULL = {"kind": "oops", "title": "x", "lines": [], "frames": []}


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 99},
        {"schema": 1},
        {"schema": None},
        {"tests": [{"id": 3}]},
        {"tests": "none"},
        {"seconds": "long"},
        {"no_such_field": 1},
        {"kernels": [[]]},
        {"kernels": [{"name": "stock"}]},
        {"host": []},
        {"errors": 3},
    ],
)
def test_damaged_report(change: dict[str, object]) -> None:
    with pytest.raises(ArtifactError) as caught:
        report_from_json({**to_json(sample_report()), **change})
    assert caught.value.cure == "make the report again"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"status": "fine"}, "result.status"),
        ({"status": None}, "result.status"),
        ({"splats": [{**SPLAT_OF_FULL, "kind": "none"}]}, "splats[0].kind"),
        ({"splats": [{**SPLAT_OF_FULL, "surplus": 1}]}, "splats[0]"),
        ({"splats": [3]}, "splats[0]"),
        ({"cases": [{"number": 1}]}, "cases[0]"),
        ({"cases": [{"number": 1, "name": "x", "outcome": "maybe"}]}, "cases[0].outcome"),
        ({"findings": [{"kind": "odd", "frames": []}]}, "findings[0].kind"),
        ({"samples": [{"seconds": "x", "values": {}}]}, "samples[0].seconds"),
        ({"phases": {"run": "long"}}, "phases"),
    ],
)
def test_damaged_result_is_named_in_one_line(change: dict[str, object], where: str) -> None:
    data = to_json(Entry(replace(record_without_kernel(), result=FULL)))
    data["record"]["result"] |= change
    with pytest.raises(ArtifactError) as caught:
        entry_from_json(through_text(data))
    assert where in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_field_is_named() -> None:
    data = to_json(Entry(record_without_kernel()))
    del data["record"]["machine"]
    with pytest.raises(ArtifactError, match="machine"):
        entry_from_json(data)


def test_schema_is_written() -> None:
    assert to_json(good_report())["schema"] == SCHEMA == 2


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    json_file.write(sample_report(), path)
    assert json_file.read(path) == sample_report()
    assert list(tmp_path.iterdir()) == [path]


def test_file_takes_any_character_that_a_guest_prints(tmp_path: Path) -> None:
    """Output is decoded with replacement characters, so that it has no lone surrogate."""
    path = tmp_path / "report.json"
    text = bytes(range(256)).decode("utf-8", "replace") + "\u2028\U0001f600"
    report = good_report()
    report = replace(report, tests=(changed(report.tests[0], stdout=text),))
    json_file.write(report, path)
    assert json_file.read(path) == report


def test_files_take_a_path_that_is_not_utf_8(tmp_path: Path) -> None:
    command = os.fsdecode(b"pytest --kernel /src/linux-\xff")
    report = replace(good_report(), command=command)
    write_all(report, tmp_path)
    assert json_file.read(tmp_path / "report.json").command == command
    assert r"/src/linux-\udcff" in (tmp_path / "report.html").read_text("utf-8")
    ElementTree.parse(tmp_path / "junit.xml")


@pytest.mark.parametrize("content", ["", "{", "[]", "\ud800".encode("utf-8", "surrogatepass")])
def test_damaged_file(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ArtifactError, match=r"report\.json") as caught:
        json_file.read(path)
    assert "\n" not in str(caught.value)


def test_file_of_another_schema_is_named(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"schema": 1}')
    with pytest.raises(ArtifactError, match=r"report\.json.*schema 1, this version reads 2"):
        json_file.read(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"report\.json"):
        json_file.read(tmp_path / "report.json")


@pytest.mark.parametrize("field", ["stdout", "stderr", "console"])
def test_shortened_keeps_the_end(field: str) -> None:
    lines = [f"line {number}" for number in range(LINES_KEPT + 5)]
    change: dict[str, Any] = {field: "\n".join(lines) + "\n"}
    result = shortened(replace(FULL, **change))
    assert getattr(result, field).splitlines() == lines[5:]
    kept = replace(result, **{field: getattr(FULL, field)})
    assert kept == shortened(FULL)


def test_shortened_cuts_a_line_without_end() -> None:
    result = shortened(replace(FULL, stdout="a" + "b" * CHARACTERS_KEPT))
    assert result.stdout == "b" * CHARACTERS_KEPT


def test_shortened_touches_nothing_else() -> None:
    short = shortened(FULL)
    assert replace(short, stdout="", stderr="", console="") == replace(
        FULL, stdout="", stderr="", console=""
    )


def test_what_judge_says_is_what_the_report_has() -> None:
    splats = find_splats("[    1.000000] WARNING: CPU: 0 PID: 9 at mm/ksm.c:9 ksm+0x1/0x2\n")
    document = ktap.parse("KTAP version 1\n1..2\nok 1 a\n# saw 2\nnot ok 2 b\n")
    result = judge(Evidence(program=ProgramEnd(1, document), splats=splats))
    data = through_text(to_json(Entry(replace(record_without_kernel(), result=result))))
    loaded = entry_from_json(data).record.result
    assert loaded.status == "splat"

    def told(case: KtapResult) -> tuple[str, str, tuple[str, ...]]:
        return case.name, case.outcome, case.diagnostics

    assert [told(case) for case in loaded.cases] == [("a", "pass", ()), ("b", "fail", ("saw 2",))]
    assert [(reason.status, reason.text) for reason in loaded.reasons] == [
        ("splat", f"{splats[0].title} [{splats[0].fingerprint}]"),
        ("fail", "b"),
    ]
    assert loaded.splats[0].lines == splats[0].lines
    assert loaded.splats[0].fingerprint == splats[0].fingerprint
