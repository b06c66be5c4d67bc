# SPDX-License-Identifier: MIT
"""The JUnit file, parsed again as a CI service would."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from harness.core.ktap import Outcome
from harness.report import junit
from harness.report.model import Hole, HoleKind
from harness.verdict.result import Reason, Status
from tests.unit.report_sample import (
    case,
    changed,
    good_report,
    record_without_kernel,
    sample_report,
)

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from harness.report.model import Report, TestRecord

PASSED = record_without_kernel()


def parsed(report: Report) -> Element:
    """Return the one test suite."""
    document = ElementTree.fromstring(junit.render(report))
    assert document.tag == "testsuites"
    (suite,) = document
    assert suite.tag == "testsuite"
    return suite


def one(*tests: TestRecord) -> Element:
    return parsed(replace(good_report(), tests=tests))


def properties(element: Element) -> dict[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in element.findall("properties/property")}


def named(suite: Element, name: str) -> Element:
    (found,) = [case for case in suite.findall("testcase") if case.attrib["name"] == name]
    return found


def test_suite_counts_what_is_in_it() -> None:
    report = sample_report()
    suite = parsed(report)
    cases = sum(len(test.result.cases) for test in report.tests)
    assert suite.attrib["tests"] == str(len(report.tests) + cases)
    assert len(suite.findall("testcase")) == len(report.tests) + cases
    # Of tests: 1 lost, 1 splat, 2 fail; of cases: tags_survive_swap.
    assert suite.attrib["failures"] == "5"
    assert suite.attrib["errors"] == "1"
    assert suite.attrib["skipped"] == "2"  # a test, and the case zswap
    assert suite.attrib["time"] == "131.400"
    assert suite.attrib["timestamp"] == report.started


def test_suite_says_what_was_tested_and_where() -> None:
    report = sample_report()
    facts = properties(parsed(report))
    assert facts["qemu"] == report.qemu
    assert facts["machine.accelerator"] == "tcg"
    assert facts["host.system"] == "Debian 12"
    assert facts["kernel.stock.key"] == report.kernels[0].key
    assert facts["kernel.no-swap-restore.release"] == "6.12.117"


def test_properties_of_a_test() -> None:
    report = sample_report()
    test = report.failures[0]
    facts = properties(named(parsed(report), f"test_probe[{test.kernel}-{test.name}]"))
    assert facts["kernel"] == test.kernel
    assert facts["kernel_key"] == report.kernels[1].key
    assert facts["machine"] == "emulator"
    assert facts["status"] == "lost"
    assert facts["splat"] == test.result.splats[0].fingerprint
    assert facts["repeat"] == test.repeat


def test_test_without_a_kernel_has_no_key() -> None:
    facts = properties(one(replace(PASSED, repeat="")).findall("testcase")[0])
    assert facts == {"kernel": "no kernel", "kernel_key": "", "machine": "", "status": "pass"}


@pytest.mark.parametrize(
    ("status", "tag"),
    [
        (Status.LOST, "failure"),
        (Status.SPLAT, "failure"),
        (Status.FAIL, "failure"),
        (Status.ERROR, "error"),
        (Status.SKIP, "skipped"),
    ],
)
def test_each_status(status: Status, tag: str) -> None:
    reasons = (Reason(status, "first", ("a detail",)), Reason(status, "second"))
    suite = one(changed(PASSED, reasons=reasons))
    (element,) = suite.findall("testcase")
    (outcome,) = [child for child in element if child.tag != "properties"]
    assert outcome.tag == tag
    assert outcome.attrib["message"] == "first"
    assert outcome.text == f"{status}: first\n    a detail\n{status}: second"
    counts = {key: suite.attrib[key] for key in ("failures", "errors", "skipped")}
    plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}[tag]
    assert counts == {"failures": "0", "errors": "0", "skipped": "0", plural: "1"}


def test_passed_test_has_no_outcome() -> None:
    (element,) = one(PASSED).findall("testcase")
    assert [child.tag for child in element] == ["properties"]
    assert element.attrib == {
        "classname": "tests.system.test_emulator_check",
        "name": "test_old_qemu",
        "time": "0.250",
    }


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_of_a_ktap_case(outcome: Outcome) -> None:
    cases = (case(1, "zswap", outcome, "why", "a diagnostic"),)
    bad = changed(PASSED, cases=cases, reasons=(Reason(Status.FAIL, "x"),))
    element = named(one(bad), "zswap")
    assert element.attrib["classname"] == "tests.system.test_emulator_check.test_old_qemu"
    tags = {child.tag for child in element}
    if outcome in {Outcome.PASS, Outcome.XFAIL}:
        assert tags == set()
    else:
        assert tags == {"skipped" if outcome is Outcome.SKIP else "failure"}
        assert element[0].attrib["message"] == f"{outcome} why"
        assert element[0].text == f"{outcome} why\na diagnostic"


def test_failed_case_of_a_known_bug_is_no_failure() -> None:
    known = changed(
        PASSED, cases=(case(1, "b", "fail"),), reasons=(Reason(Status.SKIP, "known bug (x): b"),)
    )
    suite = one(known)
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("0", "2")


def test_case_without_a_name_has_its_number() -> None:
    suite = one(changed(PASSED, cases=(case(7, "", "skip", "why"),)))
    assert named(suite, "7").find("skipped") is not None


def test_error_of_the_run_is_an_error() -> None:
    suite = parsed(replace(good_report(), tests=(), errors=("no QEMU", "x could not be collected")))
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("2", "2")
    messages = [error.attrib["message"] for error in suite.findall("testcase/error")]
    assert messages == ["no QEMU", "x could not be collected"]


# XML 1.0, section 2.2: none of these can be in a document.
FORBIDDEN = [*map(chr, range(9)), "\x0b", "\x0c", "\x0e", "\x1b", "\x1f", "\ud800", "\udfff",
             "\ufffe", "\uffff"]  # fmt: skip


def test_forbidden_characters_are_replaced() -> None:
    text = "<&>\"']]>" + "".join(FORBIDDEN) + "\t\n\U0001f600"
    seen = text.translate({ord(character): "\ufffd" for character in FORBIDDEN})
    hostile = changed(
        replace(PASSED, id=f"a.py::{text}", kernel=text, machine=text, repeat=text),
        reasons=(Reason(Status.FAIL, text, (text,)),),
        cases=(case(1, text, "fail", text, text),),
    )
    report = replace(good_report(), qemu=text, command=text, host={text: text}, errors=(text,))
    suite = parsed(replace(report, tests=(hostile,), kernels=()))
    first, second, run = suite.findall("testcase")
    assert first.attrib["name"] == second.attrib["name"] == seen
    assert first.find("failure") is not None
    assert (first.findtext("failure") or "").startswith(f"fail: {seen}")
    assert second.findtext("failure") == f"fail {seen}\n{seen}"
    assert properties(first)["kernel"] == seen
    assert properties(suite)["qemu"] == seen
    (error,) = run
    assert error.attrib["message"] == seen


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    junit.write(sample_report(), path)
    junit.write(good_report(), path)
    assert path.read_bytes() == junit.render(good_report())
    assert list(tmp_path.iterdir()) == [path]


def test_a_hole_is_an_error() -> None:
    hole = Hole(HoleKind.MISSING, "shard 2 is missing", 2, ("test_a", "test_b"))
    suite = parsed(replace(good_report(), holes=(hole,)))
    assert suite.attrib["errors"] == "1"
    error = named(suite, "hole: missing").find("error")
    assert error is not None
    assert error.attrib["message"] == "shard 2 is missing"
    assert error.text == "test_a\ntest_b"
