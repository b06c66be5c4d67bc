# SPDX-License-Identifier: MIT
"""What one program's run, or one test, gave: the one result that every report is made from."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from harness.core import errors
from harness.core.ktap import KtapResult  # noqa: TC001 - cattrs reads the annotations
from harness.verdict.finding import Finding  # noqa: TC001
from harness.verdict.splat import Splat  # noqa: TC001


class Status(enum.StrEnum):
    """The verdict in one word, the worst first."""

    LOST = "lost"
    SPLAT = "splat"
    FAIL = "fail"
    ERROR = "error"
    UNTESTED = "untested"
    SKIP = "skip"
    PASS = "pass"

    @property
    def rank(self) -> int:
        """Return the place in the order of badness: 0 is the worst."""
        return list(Status).index(self)

    @property
    def exit_status(self) -> int:
        """Return the exit status of harness/core/errors.py.

        A check that could not run counts as bad: a kernel that hides a feature from a probe
        must not pass a bisection.
        """
        return {
            Status.LOST: errors.GUEST_LOST,
            Status.SPLAT: errors.KERNEL_SPLAT,
            Status.FAIL: errors.PROGRAM_FAILED,
            Status.ERROR: errors.PROGRAM_FAILED,
            Status.UNTESTED: errors.UNTESTED,
        }.get(self, errors.OK)

    @property
    def good(self) -> bool:
        """Return whether nothing speaks against the kernel."""
        return self in {Status.PASS, Status.SKIP}


@dataclass(frozen=True)
class Reason:
    """One thing that speaks against a pass; ``details`` are lines below ``text``.

    ``exit_status`` is that of the HarnessError which kept the check from running, None where
    there was none.
    """

    status: Status
    text: str
    details: tuple[str, ...] = ()
    exit_status: int | None = None


@dataclass(frozen=True)
class CounterSample:
    """Counters (meminfo in kB, vmstat in pages) ``seconds`` after the clone was there."""

    seconds: float
    values: dict[str, int]


@dataclass(frozen=True)
class ProbeResult:
    """The result of judge(): the verdict, and what a person needs to believe it.

    ``reasons`` are all that speak against a pass, the worst first; none is a pass.
    ``cases`` is the KTAP outcome tree, empty for a program that prints no KTAP.
    ``splats`` have file and line where a vmlinux was there. ``findings`` are the auditor's.
    ``phases`` are wall seconds by name, in order: clone, before, run, after, audit.
    ``again`` has the cases whose precondition came about only in a later fresh guest, if at all,
    and how many guests they were tried in. ``note``: what was not as in a fresh clone: a board is
    not reset between programs. ``""`` where all was.
    """

    status: Status
    reasons: tuple[Reason, ...] = ()
    cases: tuple[KtapResult, ...] = ()
    splats: tuple[Splat, ...] = ()
    samples: tuple[CounterSample, ...] = ()
    findings: tuple[Finding, ...] = ()
    phases: dict[str, float] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    console: str = ""
    note: str = ""

    @property
    def exit_status(self) -> int:
        """Return the exit status of the first reason: of the host's trouble, or of the verdict."""
        first = self.reasons[0].exit_status if self.reasons else None
        return self.status.exit_status if first is None else first

    @property
    def title(self) -> str:
        """Return one line: the first reason."""
        return self.reasons[0].text if self.reasons else "passed"

    def text(self) -> str:
        """Return all reasons with their details, for a terminal."""
        lines = []
        for reason in self.reasons:
            lines.append(f"{reason.status.value}: {reason.text}")
            lines.extend(f"    {line}" for line in reason.details)
        if self.note:
            lines.append(f"note: {self.note}")
        return "\n".join(lines)
