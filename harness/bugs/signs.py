# SPDX-License-Identifier: MIT
"""How a failure looks, in a word or two: the signs by which one bug is told from another.

"case peek" is a KTAP case that failed, "splat warning-1f0c…" the fingerprint of a splat, "exit 1"
the exit status of a program that prints no KTAP, "console" a line of the console that the user
asked for. "hang": it did not end in time; "lost": the guest was lost. "error" and "untested": the
run tells nothing, and neither is ever the sign of a bug.
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
_KINDS = (CONSOLE, "case", "splat", "exit", "hang", "leak", "lost", "taint", "audit")
_TELLS_NOTHING = {Status.ERROR: "error", Status.UNTESTED: "untested"}
_BAD = {Outcome.FAIL, Outcome.XPASS}


def signs_of(evidence: Evidence, result: ProbeResult, console: str = "") -> dict[str, str]:
    """Return the signs of a run, each with a line that describes it; none if all was well.

    With ``console``, a regular expression, a match in what the kernel printed is the only sign. A
    guest that was lost before is not without the bug, nor is one whose program was put to no test.
    """
    if console:
        if found := re.search(console, evidence.console, re.MULTILINE):
            return {CONSOLE: _line_of(evidence.console, found)}
        if evidence.lost:
            return {"lost": evidence.lost.cause}
        if nothing := _TELLS_NOTHING.get(result.status):
            return {nothing: result.title}
        return {}
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
        kinds = {Status.SPLAT: "taint", Status.FAIL: "audit", **_TELLS_NOTHING}
        signs[kinds[result.status]] = result.title
    return signs


def shows(sign: str, signs: Iterable[str]) -> bool:
    """Return whether a run with these ``signs`` shows the bug that shows as ``sign``, or as ANY."""
    return any(map(is_sign, signs)) if sign == ANY else sign in signs


def usual_sign(runs: Iterable[Iterable[str]]) -> str | None:
    """Return the sign that most runs have; None if none has any that can be a bug's."""
    counts = Counter(sign for run in runs for sign in run if is_sign(sign))
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
