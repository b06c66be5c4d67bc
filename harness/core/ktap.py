# SPDX-License-Identifier: MIT
"""A strict parser for KTAP 1 and for the TAP 13 that kernel selftests print.

Format: Documentation/dev-tools/ktap.rst and tools/testing/selftests/kselftest.h of the kernel. The
parser never raises: each violation of the format is a sentence in ``Document.problems``, and a
document with a problem does not pass. The format allows lines that are not KTAP (other output of
the kernel or the program); they are kept in ``noise``.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field

_RESULT = re.compile(r"(?P<word>ok|not ok)(?=\s|$)\s*(?P<number>\d+)?(?P<rest>.*)", re.DOTALL)
_VERSION = re.compile(r"(?P<dialect>KTAP|TAP) version (?P<number>\d+)\s*$")
_PLAN = re.compile(r"1\.\.(?P<count>\d+)\s*(?:#\s*(?P<rest>.*))?$")
# Printed by ksft_print_cnts() of kselftest.h: the number of results of each kind.
_TOTALS = re.compile(
    r"# Totals: pass:(?P<pass>\d+) fail:(?P<fail>\d+) xfail:(?P<xfail>\d+) "
    r"xpass:(?P<xpass>\d+) skip:(?P<skip>\d+) error:(?P<error>\d+)\s*$"
)
# TAP 13 allows SKIP and TODO in upper or lower case; the other directives are KTAP's, in capitals.
# UNTESTED is ours (NEED() of guest/include/ktap.h).
_DIRECTIVE = re.compile(
    r"(?:^|\s)#\s*(?P<word>(?i:SKIP|TODO)|XFAIL|XPASS|TIMEOUT|ERROR|UNTESTED)\b:?\s*"
    r"(?P<reason>.*)$"
)
_SUPPORTED = {("KTAP", 1), ("TAP", 13), ("TAP", 14)}


class Outcome(enum.StrEnum):
    """The outcome that one result line reports.

    UNTESTED: what the case needs did not come about; it neither passed nor failed.
    """

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    XFAIL = "xfail"
    XPASS = "xpass"
    TIMEOUT = "timeout"
    ERROR = "error"
    UNTESTED = "untested"


@dataclass(frozen=True)
class KtapResult:
    """One result line.

    ``name`` is empty if the line has only a directive (``ok 3 # SKIP reason``, as
    ksft_test_result_skip() prints it). ``diagnostics`` are the ``#`` lines before it, without the
    ``#``; ``subtests`` are the results nested in it.
    """

    number: int
    name: str
    outcome: Outcome
    reason: str = ""
    diagnostics: tuple[str, ...] = ()
    subtests: tuple[KtapResult, ...] = ()


@dataclass(frozen=True)
class Document:
    """A whole KTAP output.

    ``version`` is empty, and ``plan`` None, if the line is missing. ``skipped`` is the reason of a
    ``1..0 # SKIP`` plan: the program ran no test, on purpose. ``diagnostics`` are the ``#`` lines
    after the last result.
    """

    version: str
    plan: int | None
    results: tuple[KtapResult, ...]
    problems: tuple[str, ...]
    skipped: str | None = None
    diagnostics: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the format has no problem, and every result is a pass."""
        return (
            not self.problems
            and self.skipped is None
            and all(result.outcome is Outcome.PASS for result in self.results)
        )


@dataclass
class _Level:
    """A document, or nested results, being read; ``indent`` is that of the version line."""

    indent: int
    version: str
    plan: int | None = None
    results: list[KtapResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    diagnostics: list[str] = field(default_factory=list)
    nested: list[KtapResult] = field(default_factory=list)
    skipped: str | None = None

    def repeats(self, indent: int, version: str) -> bool:
        """Return whether a version line, or a plan below it, may be this level's, printed again.

        A selftest's child prints the head a second time that its parent had not yet flushed
        (6.1.192 arm64/mte/check_gcr_el1_cswitch.c; ksft_print_header() sets no line buffering).
        """
        head = self.version.startswith("TAP ") and not self.results and not self.nested
        return head and (indent, version) == (self.indent, self.version)

    def finish(self) -> None:
        """Add the problems that show only at the end of the level."""
        if self.nested:
            self.problems.append("nested results end without the result they belong to")
        if self.plan is None:
            self.problems.append(f"no plan line; {len(self.results)} results came")
        elif self.plan == 0:
            if self.skipped is None:
                self.problems.append("the plan is 1..0 and gives no SKIP reason")
            if self.results:
                self.problems.append(f"the plan is 1..0, yet {len(self.results)} results came")
        elif len(self.results) < self.plan:
            self.problems.append(
                f"the plan promised {self.plan} results, only {len(self.results)} came"
            )
        elif len(self.results) > self.plan:
            self.problems.append(f"the plan promised {self.plan} results, {len(self.results)} came")


def has_version_line(text: str) -> bool:
    """Return whether the text says that it is KTAP or TAP, whatever the version."""
    return any(_VERSION.match(line) for line in text.splitlines())


def parse(text: str | bytes) -> Document:
    """Return the document that a program printed to its standard output."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    parser = _Parser()
    lines = text.split("\n")
    for line in lines:
        parser.line(line.rstrip("\r"))
    if lines[-1] and _is_ktap(lines[-1].strip()):
        parser.problem(f"the output ends in the middle of a line: {_short(lines[-1])}")
    return parser.document()


def _is_ktap(line: str) -> bool:
    return bool(_RESULT.match(line) or _VERSION.match(line) or _PLAN.match(line))


def _short(line: str) -> str:
    return repr(line if len(line) <= 80 else line[:77] + "...")


class _Parser:
    """The stack of open levels; the first one is the program's own."""

    def __init__(self) -> None:
        self.levels: list[_Level] = []
        self.noise: list[str] = []
        self.problems: list[str] = []
        self.bailed = False
        self.totals: dict[str, int] | None = None

    def problem(self, text: str) -> None:
        """Add a problem of the whole output."""
        self.problems.append(text)

    def line(self, line: str) -> None:
        text = line.strip()
        indent = len(line) - len(line.lstrip(" "))
        if not text:
            return
        if text.startswith("Bail out!"):
            self.bailed = True
            self.problem(f"the program bailed out: {text[9:].strip() or 'no reason given'}")
        elif match := _VERSION.match(text):
            self._version(indent, match)
        elif match := _PLAN.match(text):
            self._plan(indent, match)
        elif match := _RESULT.match(text):
            self._result(indent, match, text)
        elif text.startswith("#"):
            self._diagnostic(text)
        else:
            self.noise.append(line)

    def _version(self, indent: int, match: re.Match[str]) -> None:
        key = (match["dialect"], int(match["number"]))
        if key not in _SUPPORTED:
            self.problem(f"unknown version line {_short(match.string)}")
        if self.levels and self.levels[-1].repeats(indent, match.string.strip()):
            return
        if self.levels and indent <= self.levels[-1].indent:
            self.problem(f"a second version line: {_short(match.string)}")
            return
        self.levels.append(_Level(indent, match.string.strip()))

    def _level_at(self, indent: int) -> _Level | None:
        return next((level for level in self.levels if level.indent == indent), None)

    def _plan(self, indent: int, match: re.Match[str]) -> None:
        level = self._level_at(indent)
        if level is None or level is not self.levels[-1]:
            self.problem(f"a plan line without a version line above it: {_short(match.string)}")
        elif level.plan == int(match["count"]) and level.repeats(indent, level.version):
            return
        elif level.plan is not None:
            level.problems.append(f"a second plan line: {_short(match.string)}")
        else:
            if level.results or level.nested:
                level.problems.append("the plan line comes after the first result")
            level.plan = int(match["count"])
            rest = match["rest"]
            if level.plan == 0 and rest and rest[:4].upper() == "SKIP":
                level.skipped = rest[4:].lstrip(": ") or "no reason given"

    def _diagnostic(self, text: str) -> None:
        if match := _TOTALS.match(text):
            self.totals = {key: int(value) for key, value in match.groupdict().items()}
        if self.levels:
            self.levels[-1].diagnostics.append(text[1:].strip())
        else:
            self.noise.append(text)

    def _result(self, indent: int, match: re.Match[str], text: str) -> None:
        level = self._level_at(indent)
        if level is None:
            self.problem(f"a result line without a version line above it: {_short(text)}")
            return
        while self.levels[-1] is not level:
            self._close()
        if match["number"] is None:
            level.problems.append(f"a result line without a number: {_short(text)}")
            return
        number = int(match["number"])
        expected = level.results[-1].number + 1 if level.results else 1
        if number != expected:
            level.problems.append(f"result {number} where {expected} was due: {_short(text)}")
        if self.bailed:
            level.problems.append(f"a result after the program bailed out: {_short(text)}")
        if self.totals is not None:
            level.problems.append(f"a result after the totals: {_short(text)}")
        outcome, name, reason = _outcome(match["word"], match["rest"])
        # In TAP the number names a test, and selftests repeat descriptions
        # (tools/testing/selftests/arm64/mte/check_buffer_fill.c does).
        if name and level.version.startswith("KTAP") and any(r.name == name for r in level.results):
            level.problems.append(f"two results are named {_short(name)}")
        if outcome is Outcome.PASS and any(r.outcome in _BAD for r in level.nested):
            level.problems.append(f"{_short(name)} is ok, but one of its subtests failed")
        level.results.append(
            KtapResult(number, name, outcome, reason, tuple(level.diagnostics), tuple(level.nested))
        )
        level.diagnostics.clear()
        level.nested.clear()

    def _close(self) -> None:
        """End the innermost level; its results belong to the next result of its parent."""
        child = self.levels.pop()
        child.finish()
        parent = self.levels[-1]
        parent.nested.extend(child.results)
        parent.diagnostics.extend(child.diagnostics)
        parent.problems.extend(
            problem if problem.startswith("subtests: ") else f"subtests: {problem}"
            for problem in child.problems
        )

    def document(self) -> Document:
        if not self.levels:
            problems = (*self.problems, "no KTAP version line: the program gave no results")
            return Document("", None, (), problems, noise=tuple(self.noise))
        while len(self.levels) > 1:
            self._close()
        root = self.levels[0]
        root.finish()
        self._check_totals(root)
        return Document(
            version=root.version,
            plan=root.plan,
            results=tuple(root.results),
            problems=(*self.problems, *root.problems),
            skipped=root.skipped,
            diagnostics=tuple(root.diagnostics),
            noise=tuple(self.noise),
        )

    def _check_totals(self, root: _Level) -> None:
        if self.totals is None:
            return
        for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.SKIP, Outcome.XFAIL, Outcome.XPASS):
            seen = sum(result.outcome is outcome for result in root.results)
            if seen != self.totals[outcome.value]:
                root.problems.append(
                    f"the totals line counts {outcome.value}:{self.totals[outcome.value]}, "
                    f"{seen} such results came"
                )


_BAD = frozenset({Outcome.FAIL, Outcome.TIMEOUT, Outcome.ERROR, Outcome.UNTESTED})


def _outcome(word: str, rest: str) -> tuple[Outcome, str, str]:
    """Return outcome, name and reason of ``[- name] [# [directive] [data]]``."""
    rest = rest.strip()
    rest = rest.removeprefix("- ") if rest.startswith("- ") else rest
    if match := _DIRECTIVE.search(rest):
        directive = match["word"].upper()
        outcome = Outcome.XFAIL if directive == "TODO" else Outcome(directive.lower())
        return outcome, rest[: match.start()].strip(), match["reason"].strip()
    name, _, data = rest.partition("#")
    return (Outcome.PASS if word == "ok" else Outcome.FAIL), name.strip(), data.strip()
