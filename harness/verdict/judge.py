# SPDX-License-Identifier: MIT
"""Joins all that is known about one program's run to one verdict.

A program that passed while the kernel printed a splat did not pass; a check
that could not run is an error, never a pass.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.core import errors
from harness.core.ktap import Document, KtapResult, Outcome
from harness.verdict import taint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.verdict.counters import CounterProblem
    from harness.verdict.splat import Splat

KSFT_SKIP = 4  # tools/testing/selftests/kselftest.h: exit status of a test that skipped itself


class Status(enum.StrEnum):
    """The verdict in one word, the worst first."""

    LOST = "lost"
    SPLAT = "splat"
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"
    PASS = "pass"

    @property
    def exit_status(self) -> int:
        """The exit status of harness/errors.py. What could not run is bad, not "untestable":
        a kernel that hides a feature from a probe must not pass a bisection."""
        return {
            Status.LOST: errors.GUEST_LOST,
            Status.SPLAT: errors.KERNEL_SPLAT,
            Status.FAIL: errors.PROGRAM_FAILED,
            Status.ERROR: errors.PROGRAM_FAILED,
        }.get(self, errors.OK)

    @property
    def good(self) -> bool:
        """Whether nothing speaks against the kernel."""
        return self in {Status.PASS, Status.SKIP}


@dataclass(frozen=True)
class Lost:
    """How the guest went: what a GuestLostError says."""

    cause: str
    details: str = ""


@dataclass(frozen=True)
class Evidence:
    """What was seen of one program's run.

    ``exit_status`` is None when the program did not end in its ``seconds`` of time;
    ``document`` is None for a program that does not speak KTAP; ``splats`` are the
    new ones; ``taint_after`` is None when it could not be read; ``allowed_skips``
    maps a config symbol that the kernel lacks to a pattern for the reasons of the
    SKIPs that this explains (``""`` for any reason). ``audit`` is what the auditor found
    wrong afterwards, in lines; ``unaudited`` is why it could not look, though it should.
    """

    exit_status: int | None
    document: Document | None = None
    seconds: float = 0
    stderr: str = ""
    splats: tuple[Splat, ...] = ()
    taint_before: int = 0
    taint_after: int | None = 0
    counters: tuple[CounterProblem, ...] = ()
    audit: tuple[str, ...] = ()
    unaudited: str = ""
    lost: Lost | None = None
    allowed_skips: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reason:
    """One thing that speaks against a pass; ``details`` are lines below it."""

    status: Status
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The verdict and every reason for it, the worst first. No reasons is a pass."""

    status: Status
    reasons: tuple[Reason, ...]
    evidence: Evidence

    @property
    def title(self) -> str:
        """One line: the first reason."""
        return self.reasons[0].text if self.reasons else "passed"

    def text(self) -> str:
        """All reasons with their details, for a terminal."""
        lines = []
        for reason in self.reasons:
            lines.append(f"{reason.status.value}: {reason.text}")
            lines.extend(f"    {line}" for line in reason.details)
        return "\n".join(lines)


def judge(evidence: Evidence) -> Verdict:
    """The verdict on one run. Pure: looks at nothing but the evidence."""
    reasons = [
        *_lost(evidence),
        *_kernel(evidence),
        *_results(evidence),
        *_program(evidence),
        *_counters(evidence),
        *_audit(evidence),
    ]
    order = list(Status)
    reasons.sort(key=lambda reason: order.index(reason.status))
    status = reasons[0].status if reasons else Status.PASS
    return Verdict(status, tuple(reasons), evidence)


def _lost(evidence: Evidence) -> Iterator[Reason]:
    if evidence.lost:
        details = tuple(evidence.lost.details.split("\n")) if evidence.lost.details else ()
        yield Reason(Status.LOST, evidence.lost.cause, details)


def _kernel(evidence: Evidence) -> Iterator[Reason]:
    for splat in evidence.splats:
        yield Reason(Status.SPLAT, f"{splat.title} [{splat.fingerprint}]", splat.lines)
    if evidence.taint_after is None:
        if not evidence.lost:
            yield Reason(Status.ERROR, "the kernel's taint could not be read after the test")
    elif new := taint.added(evidence.taint_before, evidence.taint_after):
        words = "; ".join(f"{flag.letter} ({flag.meaning})" for flag in new)
        yield Reason(Status.SPLAT, f"the kernel became tainted: {words}")


def _results(evidence: Evidence) -> Iterator[Reason]:
    document = evidence.document
    if document is None:
        return
    for result in document.results:
        yield from _result(result, evidence)
    if document.skipped is not None:
        yield _skip("the program", document.skipped, evidence)
    if evidence.exit_status is not None and not evidence.lost:
        # A program that was cut short by a lost guest or its time limit has one reason, not two.
        for problem in document.problems:
            yield Reason(Status.ERROR, f"the program's output is no proof: {problem}")


def _result(result: KtapResult, evidence: Evidence) -> Iterator[Reason]:
    name = result.name or f"result {result.number}"
    said = f"{name}: {result.reason}" if result.reason else name
    if result.outcome is Outcome.SKIP:
        yield _skip(name, result.reason, evidence)
    elif result.outcome is Outcome.XPASS:
        yield Reason(Status.FAIL, f"{said}: passed, but was expected to fail", result.diagnostics)
    elif result.outcome not in {Outcome.PASS, Outcome.XFAIL}:
        yield Reason(Status.FAIL, said, result.diagnostics)


def _skip(name: str, why: str, evidence: Evidence) -> Reason:
    for symbol, pattern in evidence.allowed_skips.items():
        if re.search(pattern, why):
            return Reason(Status.SKIP, f"{name}: skipped, {symbol} is not set: {why}")
    return Reason(Status.ERROR, f"{name}: skipped itself, and nothing in .config says why: {why}")


def _program(evidence: Evidence) -> Iterator[Reason]:
    if evidence.lost:
        return
    status, document = evidence.exit_status, evidence.document
    stderr = tuple(evidence.stderr.rstrip().split("\n")[-20:]) if evidence.stderr.strip() else ()
    if status is None:
        yield Reason(Status.FAIL, f"did not end within {evidence.seconds:.0f} s", stderr)
    elif status == 0 or (status == KSFT_SKIP and document and document.skipped is not None):
        return
    elif document is None or not _explains_failure(document):
        yield Reason(Status.FAIL, f"ended with exit status {status}{_signal(status)}", stderr)


def _explains_failure(document: Document) -> bool:
    """Whether the results alone are reason enough for an exit status that is not 0."""
    return any(
        result.outcome not in {Outcome.PASS, Outcome.SKIP, Outcome.XFAIL}
        for result in document.results
    )


def _signal(status: int) -> str:
    """A shell's status for a program that a signal killed is 128 and the signal."""
    return f" (killed by signal {status - 128})" if 128 < status < 128 + 65 else ""


def _counters(evidence: Evidence) -> Iterator[Reason]:
    for problem in evidence.counters:
        yield Reason(Status.FAIL, f"not given back: {problem}")


def _audit(evidence: Evidence) -> Iterator[Reason]:
    if evidence.audit:
        yield Reason(Status.FAIL, "the auditor finds pages and tag storage at odds", evidence.audit)
    if evidence.unaudited:
        yield Reason(Status.ERROR, f"the guest could not be audited: {evidence.unaudited}")
