# SPDX-License-Identifier: MIT
"""How a failure looks, in a word or two: the signs by which one bug is told from another.

"case peek" is a KTAP case that failed, "splat warning-1f0c…" the fingerprint of a splat, "exit 1"
the exit status of a program that prints no KTAP, "console" a line of the console that the user
asked for. "hang": it did not end in time; "lost": the guest was lost.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from harness.core.ktap import Outcome
from harness.verdict.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.verdict.evidence import Evidence
    from harness.verdict.result import ProbeResult

ANY = "any"  # in place of a sign: every failure counts
CONSOLE = "console"
# Of signs that are seen equally often the first kind counts. A case is named by the reproducer;
# a fingerprint changes where the compiler inlines another function, an exit status says little.
_KINDS = (
    CONSOLE, "case", "splat", "exit", "hang", "leak", "lost", "taint", "audit", "error", "untested",
)  # fmt: skip
_BAD = {Outcome.FAIL, Outcome.XPASS}


def signs_of(evidence: Evidence, result: ProbeResult, console: str = "") -> dict[str, str]:
    """Return the signs of a run, each with a line that describes it; none if all was well.

    With ``console``, a regular expression, only a match in what the kernel printed is a sign.
    """
    if console:
        found = re.search(console, evidence.console, re.MULTILINE)
        return {CONSOLE: _line_of(evidence.console, found)} if found else {}
    # What ran out of time while the host kept its CPUs from the guest is no failure: judge() knows.
    failed = [reason.text for reason in result.reasons if reason.status is Status.FAIL]
    signs = {
        f"case {case.name}": case.reason
        for case in result.cases
        if case.outcome in _BAD
        or (case.outcome is Outcome.TIMEOUT and any(text.startswith(case.name) for text in failed))
    }
    signs |= {f"splat {splat.fingerprint}": splat.title for splat in evidence.splats}
    program = evidence.program
    if evidence.lost:
        signs["lost"] = evidence.lost.cause
    elif program and program.overflow:
        signs["exit"] = "printed without end"
    elif program and program.exit_status is None:
        if text := next((text for text in failed if text.startswith("did not end")), ""):
            signs["hang"] = text
    elif program and program.exit_status and program.document is None:
        signs[f"exit {program.exit_status}"] = _last_line(program.stderr or program.stdout)
    if program and program.problems:
        signs["leak"] = str(program.problems[0])
    if not signs and not result.status.good:
        kinds = {Status.SPLAT: "taint", Status.FAIL: "audit", Status.UNTESTED: "untested"}
        signs[kinds.get(result.status, "error")] = result.title
    return signs


def usual_sign(runs: Iterable[Iterable[str]]) -> str | None:
    """Return the sign that most runs have; None if none has any."""
    counts = Counter(sign for run in runs for sign in run)
    return min(counts, key=lambda sign: (-counts[sign], _rank(sign), sign), default=None)


def in_words(signs: dict[str, str]) -> str:
    """Return the signs of a run in one line, with what the first one says."""
    if not signs:
        return "nothing wrong"
    line = next(iter(signs.values()))
    return ", ".join(signs) + (f": {line[:100]}" if line else "")


def is_sign(word: str) -> bool:
    """Return whether ``word`` has the form of a sign, or is ANY."""
    return word == ANY or word.split(" ", maxsplit=1)[0] in _KINDS


def _rank(sign: str) -> int:
    return _KINDS.index(sign.split(" ", maxsplit=1)[0])


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""


def _line_of(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start()) + 1
    return text[start:].split("\n", 1)[0].strip()
