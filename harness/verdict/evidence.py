# SPDX-License-Identifier: MIT
"""All that is known about one program's run, or one test, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.core.ktap import Document
    from harness.verdict.counters import CounterProblem
    from harness.verdict.finding import Finding
    from harness.verdict.result import CounterSample, Status
    from harness.verdict.splat import Splat


@dataclass(frozen=True)
class Lost:
    """How the guest went: what a GuestLostError reports."""

    cause: str
    details: str = ""


@dataclass(frozen=True)
class ProgramEnd:
    """How a program in the guest ended.

    ``exit_status`` is None when it did not end within ``seconds``, or was ended for ``overflow``:
    it printed more than the harness keeps; ``document`` is None for a program that does not print
    KTAP. ``taint_after`` is None when it could not be read.
    ``problems`` are counters that did not come back, ``grown`` lines on what may hold the memory
    (the slab caches that grew, the processes that are there); ``findings`` are the auditor's;
    ``unaudited`` is why the auditor could not look, though it should.
    ``allowed_skips`` maps what this kernel or CPU lacks, in words, to a pattern for the name or
    reason of the SKIPs that this explains (``""`` for any). ``known_bug`` names the page of
    docs/findings that describes why a case fails on this kernel. ``fixed_later`` maps cases that
    fail on this release to the fix that it lacks, "6.6 (332c151c710a)"; ``left_out`` maps those
    that are not for this kernel to the reason. ``again``: see ProbeResult.
    ``waited`` is the part of the run's wall time in which the guest waited for a CPU of the host,
    ``had`` the seconds of CPU time that its busiest thread got. ``patience`` is the factor of the
    time limits in this try, ``seconds`` that of the program with it.
    ``withheld`` maps cases that never got their precondition to where another kernel gave it.
    """

    exit_status: int | None
    document: Document | None = None
    seconds: float = 0
    overflow: bool = False
    taint_before: int = 0
    taint_after: int | None = 0
    problems: tuple[CounterProblem, ...] = ()
    grown: tuple[str, ...] = ()
    samples: tuple[CounterSample, ...] = ()
    findings: tuple[Finding, ...] = ()
    unaudited: str = ""
    allowed_skips: Mapping[str, str] = field(default_factory=dict)
    known_bug: str = ""
    fixed_later: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    waited: float = 0.0
    had: float = 0.0
    patience: int = 1
    again: Mapping[str, int] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True)
class TestEnd:
    """How a test of pytest ended that did not pass: a word of Status, and pytest's text.

    ``exit_status`` is that of the HarnessError which ended it, None where there was none.
    """

    __test__ = False  # pytest would take the class for a test by its name

    status: Status
    text: str
    exit_status: int | None = None


@dataclass(frozen=True)
class Evidence:
    """What was seen of one test: of its program, its guest, and of the test itself.

    Each part is None (or empty) where the test had none. ``splats`` are those printed since
    the clone; ``phases`` are wall seconds by name. ``note``: see ProbeResult.
    """

    program: ProgramEnd | None = None
    lost: Lost | None = None
    test: TestEnd | None = None
    splats: tuple[Splat, ...] = ()
    phases: dict[str, float] = field(default_factory=dict)
    console: str = ""
    note: str = ""
