# SPDX-License-Identifier: MIT
"""How a test's end is told from the evidence of the programs that it ran."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.core import ktap
from harness.suite.collect import TestState, VerdictError, _end
from harness.verdict.evidence import Evidence, ProgramEnd
from harness.verdict.judge import judge
from harness.verdict.result import Status
from harness.verdict.splat import find_splats

SPLATS = find_splats("[    1.000000] WARNING: CPU: 0 PID: 9 at mm/ksm.c:9 ksm+0x1/0x2\n")
FAILED = ktap.parse("KTAP version 1\n1..1\nnot ok 1 a\n")


def report() -> pytest.TestReport:
    words: dict[str, Any] = {"keywords": {}, "outcome": "failed", "longrepr": "x", "when": "call"}
    return pytest.TestReport("f.py::test", ("f.py", 1, "test"), **words)


def test_a_later_program_does_not_hide_a_failed_one() -> None:
    own = TestState()
    bad = judge(Evidence(program=ProgramEnd(1)))
    own.phases.append((report(), VerdictError(bad, own)))
    own.evidence = Evidence(program=ProgramEnd(0))
    end = _end(own)
    assert end is not None
    assert judge(replace(own.evidence, test=end)).status is Status.FAIL


def test_a_known_bug_does_not_excuse_a_splat_after_its_program() -> None:
    own = TestState()
    own.evidence = Evidence(program=ProgramEnd(1, FAILED, known_bug="x.md"), splats=SPLATS)
    own.phases.append((report(), VerdictError(judge(Evidence(splats=SPLATS)), own)))
    assert judge(replace(own.evidence, test=_end(own))).status is Status.SPLAT


def test_an_error_that_the_evidence_gives_counts_once() -> None:
    own = TestState()
    own.evidence = Evidence(program=ProgramEnd(1))
    own.phases.append((report(), VerdictError(judge(own.evidence), own)))
    assert _end(own) is None
