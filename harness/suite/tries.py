# SPDX-License-Identifier: MIT
"""Another try in a fresh guest for the cases that chance did not give what they need.

A case whose precondition did not come about (NEED() of guest/include/ktap.h: no stale frame, no
huge page, nothing swapped) has neither passed nor failed. It is tried in up to TRIES guests, and
so is one that ran out of time while the host gave its guest no CPU; the nth guest has n times the
time.
Whatever speaks against the kernel in any of them counts at once.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness.core.ktap import Outcome
from harness.suite.precondition_record import Subject
from harness.verdict.judge import judge
from harness.verdict.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.core.ktap import Document
    from harness.guest.testbed import Testbed
    from harness.suite.precondition_record import PreconditionRecord
    from harness.suite.program import Program
    from harness.verdict.evidence import Evidence, ProgramEnd

TRIES = 5


def gather_until_tested(
    attempt: Callable[[Program], Evidence],
    program: Program,
    template: Testbed,
    record: PreconditionRecord,
) -> Evidence:
    """Return the evidence of a program after as many tries as its cases need.

    Each call of ``attempt`` runs a program in another guest of ``template``. Of a probe only the
    cases are repeated that need it, of another program all. ``record`` is told how many tries each
    case of a probe needed, and says what other kernels give a case.
    """
    evidence = attempt(program)
    for number in range(2, TRIES + 1):
        if judge(evidence).status is not Status.UNTESTED:
            break
        cases = _untested(evidence)
        evidence = _joined(evidence, attempt(program.again(cases, number)), cases, number)
    end = evidence.program
    if not (program.probe and end and end.document):
        return evidence
    kernel = template.kernel
    subject = Subject(kernel.name, kernel.release, kernel.unmodified, template.spec.name)
    record.note(program.probe, subject, end.document.results, end.again)
    withheld = {
        case: where
        for case in _untested(evidence)
        if (where := record.given_elsewhere(program.probe, case, subject))
    }
    return dataclasses.replace(evidence, program=dataclasses.replace(end, withheld=withheld))


def _untested(evidence: Evidence) -> tuple[str, ...]:
    """Return the cases to try again; none for a program that did not come to its end."""
    end = evidence.program
    if end is None or end.document is None or end.exit_status is None:
        return ()
    again = {Outcome.UNTESTED, Outcome.TIMEOUT}
    return tuple(result.name for result in end.document.results if result.outcome in again)


def _joined(first: Evidence, later: Evidence, cases: tuple[str, ...], number: int) -> Evidence:
    """Return ``later``, which ran ``cases`` in guest ``number``, with the earlier results."""
    assert first.program is not None
    assert later.program is not None
    program = dataclasses.replace(
        later.program,
        document=_joined_documents(first.program, later.program),
        again={**first.program.again, **dict.fromkeys(cases, number)},
        stdout=f"{first.program.stdout}# guest {number}:\n{later.program.stdout}",
        stderr=first.program.stderr + later.program.stderr,
    )
    return dataclasses.replace(
        later,
        program=program,
        splats=(*first.splats, *later.splats),
        phases=_sums(first.phases, later.phases),
    )


def _joined_documents(first: ProgramEnd, later: ProgramEnd) -> Document | None:
    """Return the first document with the results that ``later`` has for some of its cases."""
    if first.document is None or later.document is None or first.exit_status is None:
        return later.document
    new = {result.name: result for result in later.document.results}
    return dataclasses.replace(
        first.document,
        results=tuple(
            dataclasses.replace(new.get(result.name, result), number=result.number)
            for result in first.document.results
        ),
        problems=(*first.document.problems, *later.document.problems),
    )


def _sums(first: Mapping[str, float], later: Mapping[str, float]) -> dict[str, float]:
    return {name: first.get(name, 0.0) + later.get(name, 0.0) for name in {**first, **later}}
