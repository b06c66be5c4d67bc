# SPDX-License-Identifier: MIT
"""Joins all that is known about one test, or one program's run, to one result.

A program that passed while the kernel printed a splat did not pass; a check
that could not run is an error, never a pass.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING

from harness.core.ktap import Document, KtapResult, Outcome
from harness.verdict import taint
from harness.verdict.finding import FindingKind
from harness.verdict.patterns import SplatKind
from harness.verdict.result import ProbeResult, Reason, Status
from harness.vm.cpu_share import STARVED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.verdict.evidence import Evidence, ProgramEnd, TestEnd
    from harness.verdict.splat import Splat

KSFT_SKIP = 4  # tools/testing/selftests/kselftest.h: exit status of a test that skipped itself


def judge(evidence: Evidence) -> ProbeResult:
    """Return the result of one test or run. Pure: it looks at nothing but the evidence."""
    reasons = [*_lost(evidence), *_splats(evidence)]
    program = evidence.program
    if program:
        reasons += [
            *_taint(program, lost=evidence.lost is not None),
            *_results(program, lost=evidence.lost is not None),
            *_program(program, lost=evidence.lost is not None),
            *_counters(program),
            *_audit(program),
        ]
        if program.known_bug:
            reasons = _excused(program, evidence.splats, reasons)
    if evidence.test and not _repeats_known_bug(evidence.test, program, reasons):
        first, *details = evidence.test.text.splitlines() or [str(evidence.test.status)]
        status, exit_status = evidence.test.status, evidence.test.exit_status
        reasons.append(Reason(status, first, tuple(details), exit_status))
    # What kept a check from running goes before a check that did not run for reasons of its own.
    reasons.sort(key=lambda reason: (reason.status.rank, reason.exit_status is None))
    return ProbeResult(
        status=reasons[0].status if reasons else Status.PASS,
        reasons=tuple(reasons),
        cases=program.document.results if program and program.document else (),
        splats=evidence.splats,
        samples=program.samples if program else (),
        findings=program.findings if program else (),
        phases=evidence.phases,
        again=dict(program.again) if program else {},
        stdout=program.stdout if program else "",
        stderr=program.stderr if program else "",
        console=evidence.console,
        note=evidence.note,
    )


def _lost(evidence: Evidence) -> Iterator[Reason]:
    if evidence.lost:
        details = tuple(evidence.lost.details.split("\n")) if evidence.lost.details else ()
        yield Reason(Status.LOST, evidence.lost.cause, details)


def _splats(evidence: Evidence) -> Iterator[Reason]:
    for splat in evidence.splats:
        yield Reason(Status.SPLAT, f"{splat.title} [{splat.fingerprint}]", splat.lines)


def _taint(program: ProgramEnd, *, lost: bool) -> Iterator[Reason]:
    if program.taint_after is None:
        if not lost:
            yield Reason(Status.ERROR, "the kernel's taint could not be read after the test")
    elif new := taint.added(program.taint_before, program.taint_after):
        flags = "; ".join(f"{flag.letter} ({flag.meaning})" for flag in new)
        yield Reason(Status.SPLAT, f"the kernel became tainted: {flags}")


def _results(program: ProgramEnd, *, lost: bool) -> Iterator[Reason]:
    document = program.document
    if document is None:
        return
    for result in document.results:
        yield from _result(result, program)
    for case, why in program.left_out.items():
        yield Reason(Status.SKIP, f"{case}: left out, {why}")
    if document.skipped is not None:
        yield _skip("the program", document.skipped, program)
    if program.exit_status is not None and not lost:
        # A program that was cut short by a lost guest or its time limit has one reason, not two.
        for problem in document.problems:
            yield Reason(Status.ERROR, f"the program's output is no proof: {problem}")


def _result(result: KtapResult, program: ProgramEnd) -> Iterator[Reason]:
    name = result.name or f"result {result.number}"
    text = f"{name}: {result.reason}" if result.reason else name
    if result.outcome is Outcome.SKIP:
        yield _skip(name, result.reason, program)
    elif result.outcome in {Outcome.FAIL, Outcome.UNTESTED} and name in program.fixed_later:
        known = f"known bug, fixed in {program.fixed_later[name]}: {text}"
        yield Reason(Status.SKIP, known, result.diagnostics)
    elif result.outcome is Outcome.UNTESTED:
        yield _untested(name, result, program)
    elif result.outcome is Outcome.TIMEOUT and (why := _starved(program, _case_limit(result))):
        yield Reason(Status.UNTESTED, f"{text}, {why}", result.diagnostics)
    elif result.outcome is Outcome.XPASS:
        yield Reason(Status.FAIL, f"{text}: passed, but was expected to fail", result.diagnostics)
    elif result.outcome not in {Outcome.PASS, Outcome.XFAIL}:
        yield Reason(Status.FAIL, text, result.diagnostics)


def _untested(name: str, result: KtapResult, program: ProgramEnd) -> Reason:
    """Return the reason of a case whose precondition never came about.

    What another kernel of the release gives and this one does not is this kernel's failure.
    """
    tries = program.again.get(result.name, 1)
    where = f"in {tries} guests" if tries > 1 else "in its guest"
    lacked = f"what it needs did not come about {where}: {result.reason}"
    if elsewhere := program.withheld.get(result.name):
        text = f"{name}: the kernel withholds what the case needs"
        return Reason(Status.FAIL, text, (*result.diagnostics, lacked, elsewhere))
    return Reason(Status.UNTESTED, f"{name}: not put to the test, {lacked}", result.diagnostics)


def _skip(name: str, why: str, program: ProgramEnd) -> Reason:
    for cause, pattern in program.allowed_skips.items():
        if re.search(pattern, why):
            return Reason(Status.SKIP, f"{name}: skipped, {cause}: {why}")
    return Reason(Status.ERROR, f"{name}: skipped itself, and nothing explains it: {why}")


def _program(program: ProgramEnd, *, lost: bool) -> Iterator[Reason]:
    if lost:
        return
    status, document = program.exit_status, program.document
    stderr = tuple(program.stderr.rstrip().split("\n")[-20:]) if program.stderr.strip() else ()
    if program.overflow:
        yield Reason(Status.FAIL, "was ended: it printed more than the harness keeps", stderr)
    elif status is None:
        text = f"did not end within {program.seconds:.0f} s"
        if why := _starved(program, program.seconds):
            yield Reason(Status.UNTESTED, f"{text}, {why}", stderr)
        else:
            yield Reason(Status.FAIL, text, stderr)
    elif status == 0 or (status == KSFT_SKIP and document and document.skipped is not None):
        return
    elif document is None or not _explains_failure(document):
        yield Reason(Status.FAIL, f"ended with exit status {status}{_signal(status)}", stderr)


def _case_limit(result: KtapResult) -> float:
    """Return the seconds after which a case was ended, as its KTAP line says (lib/ktap.c)."""
    said = re.search(r"not finished after (\d+) s", result.reason)
    return float(said[1]) if said else math.inf


def _starved(program: ProgramEnd, limit: float) -> str:
    """Return how the host kept its CPUs from what ran out of time; "" if it did not.

    A later try has ``patience`` times the time. What ran for its first limit on a CPU, and still
    did not end, hangs: with a share of one fifth it gets there in the fifth try.
    """
    together = sum(number == program.patience for number in program.again.values()) or 1
    enough = limit / program.patience * together
    if program.waited <= STARVED or (program.patience > 1 and program.had >= enough):
        return ""
    return (
        f"while the guest waited {program.waited:.0%} of the time for a CPU of this host, "
        f"and had {program.had:.0f} s of one"
    )


def _explains_failure(document: Document) -> bool:
    """Return whether the results alone are reason enough for an exit status that is not 0."""
    return any(
        result.outcome not in {Outcome.PASS, Outcome.SKIP, Outcome.XFAIL}
        for result in document.results
    )


def _signal(status: int) -> str:
    """Return the signal in a shell's exit status, which is 128 and the signal's number."""
    return f" (killed by signal {status - 128})" if 128 < status < 128 + 65 else ""


def _counters(program: ProgramEnd) -> Iterator[Reason]:
    for number, problem in enumerate(program.problems):
        details = () if number else program.grown
        yield Reason(Status.FAIL, f"not given back: {problem}", details)


def _audit(program: ProgramEnd) -> Iterator[Reason]:
    wrong = [finding for finding in program.findings if finding.kind is not FindingKind.UNKNOWN]
    if wrong:
        lines = [line for finding in program.findings for line in finding.lines()]
        text = "the auditor finds pages and tag storage at odds"
        yield Reason(Status.FAIL, text, tuple(lines))
    if program.unaudited:
        yield Reason(Status.ERROR, f"the guest could not be audited: {program.unaudited}")


def _excused(program: ProgramEnd, splats: Sequence[Splat], reasons: list[Reason]) -> list[Reason]:
    """Return ``reasons`` as those of a known bug, if a case of the program shows that bug.

    The bug's own WARNINGs, taint and leak are part of it. A lost guest is not, nor a check that
    could not run. A splat of another kind (an oops, a KASAN report) is another bug, and then
    nothing is excused: its taint cannot be told from the other.
    """
    document = program.document
    shown = document and any(result.outcome is Outcome.FAIL for result in document.results)
    if not shown or any(splat.kind is not SplatKind.WARNING for splat in splats):
        return reasons
    known = f"known bug ({program.known_bug}): "
    return [
        dataclasses.replace(reason, status=Status.SKIP, text=known + reason.text)
        if reason.status in {Status.FAIL, Status.SPLAT}
        else reason
        for reason in reasons
    ]


def _repeats_known_bug(test: TestEnd, program: ProgramEnd | None, reasons: list[Reason]) -> bool:
    """Return whether a test skipped itself (pytest.xfail()) over what ``reasons`` already tell."""
    return bool(program and program.known_bug and reasons) and test.status is Status.SKIP
