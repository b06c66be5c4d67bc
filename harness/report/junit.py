# SPDX-License-Identifier: MIT
"""The report as a JUnit XML file: a test case for each test, and one for each KTAP result.

Format: https://github.com/testmoapp/junitxml, which describes what CI services read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from harness.core.files import replace_file
from harness.core.ktap import Outcome
from harness.verdict.result import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.ktap import KtapResult
    from harness.report.model import Report, TestRecord

# XML 1.0, section 2.2: these characters cannot stand in a document, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(report: Report, path: Path) -> None:
    """Write the file; a reader sees the old one or the new one, never half of one."""
    replace_file(path, render(report))


def render(report: Report) -> bytes:
    """Return the document in UTF-8."""
    suite = ET.Element("testsuite", name="mte-harness", timestamp=_text(report.started))
    _properties(suite, _suite_properties(report))
    for test in report.tests:
        _add(suite, test, report)
    for error in report.errors:
        case = ET.SubElement(suite, "testcase", name="the run itself", time="0")
        ET.SubElement(case, "error", message=_text(error))
    for hole in report.holes:
        case = ET.SubElement(suite, "testcase", name=f"hole: {_text(hole.kind)}", time="0")
        ET.SubElement(case, "error", message=_text(hole.text)).text = _text("\n".join(hole.tests))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", f"{report.seconds:.3f}")
    document = ET.Element("testsuites")
    document.append(suite)
    ET.indent(document)
    data: bytes = ET.tostring(document, encoding="utf-8", xml_declaration=True)
    return data


def _add(suite: ET.Element, test: TestRecord, report: Report) -> None:
    module = test.id.partition("::")[0].removesuffix(".py").replace("/", ".")
    name = test.id.rpartition("::")[2]
    case = ET.SubElement(
        suite, "testcase", classname=_text(module), name=_text(name), time=f"{test.seconds:.3f}"
    )
    keys = {kernel.name: kernel.key for kernel in report.kernels}
    _properties(
        case,
        (
            ("kernel", test.kernel),
            ("kernel_key", keys.get(test.kernel, "")),
            ("machine", test.machine),
            ("status", test.status.value),
            *(("splat", splat.fingerprint) for splat in test.result.splats),
            *((("repeat", test.repeat),) if test.repeat else ()),
        ),
    )
    if test.status is not Status.PASS:
        tags = {Status.SKIP: "skipped", Status.ERROR: "error", Status.UNTESTED: "error"}
        tag = tags.get(test.status, "failure")
        _outcome(case, tag, test.result.title, test.result.text())
    for result in test.result.cases:
        _add_case(suite, f"{module}.{name}", result, known=test.good)


def _add_case(suite: ET.Element, classname: str, result: KtapResult, *, known: bool) -> None:
    """Add a KTAP result; one that failed in a test that is ``known`` as good is a known bug."""
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_text(classname),
        name=_text(result.name or str(result.number)),
        time="0",
    )
    if result.outcome in {Outcome.PASS, Outcome.XFAIL}:
        return
    skipped = known or result.outcome is Outcome.SKIP
    text = "\n".join((f"{result.outcome} {result.reason}".strip(), *result.diagnostics))
    _outcome(case, "skipped" if skipped else "failure", text.partition("\n")[0], text)


def _outcome(case: ET.Element, tag: str, message: str, text: str) -> None:
    ET.SubElement(case, tag, message=_text(message)).text = _text(text)


def _properties(parent: ET.Element, pairs: tuple[tuple[str, str], ...]) -> None:
    element = ET.SubElement(parent, "properties")
    for name, value in pairs:
        ET.SubElement(element, "property", name=_text(name), value=_text(value))


def _suite_properties(report: Report) -> tuple[tuple[str, str], ...]:
    return (
        ("qemu", report.qemu),
        *((f"machine.{label}", text) for label, text in report.machine.items()),
        *((f"host.{label}", text) for label, text in report.host.items()),
        *((f"kernel.{kernel.name}.key", kernel.key) for kernel in report.kernels),
        *((f"kernel.{kernel.name}.release", kernel.release) for kernel in report.kernels),
    )


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
