# SPDX-License-Identifier: MIT
"""A report of pytest as part of a night's record: states, names that last, and measures."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.ktap import Outcome
from harness.history.night import KernelRun, Measure, State, TestRun
from harness.report.html import sentence
from harness.verdict.counters import RULES
from harness.verdict.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.core.ktap import KtapResult
    from harness.report.model import Report, TestRecord

FINDINGS = "findings"  # the area of the tests whose programs show known bugs
_OUTCOMES = {
    Outcome.PASS: State.PASS,
    Outcome.XFAIL: State.PASS,
    Outcome.SKIP: State.SKIP,
    Outcome.ERROR: State.ERROR,
    Outcome.UNTESTED: State.UNTESTED,
}
# What judge.py says of a bug with a page, and of one that a later release has fixed.
_KNOWN = re.compile(r"known bug(?: \((?P<page>[^)]*)\)|, (?P<fixed>fixed in [^:]*))?")
_REASON = 300  # characters of a reason that a record keeps


def kernels_of(report: Report, label: str = "") -> tuple[KernelRun, ...]:
    """Return the kernels of a report; ``label`` is added to their machines."""
    return tuple(
        KernelRun(
            kernel.name,
            labelled(kernel.machine, label),
            kernel.key,
            kernel.release,
            kernel.recipe,
            kernel.boot_seconds,
        )
        for kernel in report.kernels
    )


def results_of(report: Report, label: str = "") -> tuple[TestRun, ...]:
    """Return the tests of a report that ran; see :func:`not_run_of` for the others."""
    return tuple(_test(test, label) for test in report.tests if not test.base_gone)


def not_run_of(report: Report) -> dict[str, str]:
    """Return the tests that could not be tried, with the reason: the base of a kernel is gone."""
    return {
        lasting_name(test): f"base gone: {test.base_gone}"
        for test in report.tests
        if test.base_gone
    }


def labelled(machine: str, label: str) -> str:
    """Return a machine's name, with the QEMU if it is not the default one: another machine."""
    return f"{machine} ({label})" if machine and label else machine


def node_name(node: str) -> str:
    """Return the name of a test that chooses its kernels itself, from pytest's node id."""
    path, _, function = node.partition("::")
    return f"{Path(path).stem.removeprefix('test_')}/{function}"


def lasting_name(test: TestRecord) -> str:
    """Return a name that is the test's on every kernel: area, name, and parameters if need be."""
    parameters = test.id.partition("[")[2].removesuffix("]")
    if test.target and parameters.startswith(test.target):
        parameters = parameters.removeprefix(test.target).removeprefix("-")
    suffix = f"[{parameters}]" if parameters not in {"", test.name} else ""
    return f"{test.area}/{test.name}{suffix}"


def _test(test: TestRecord, label: str) -> TestRun:
    state, bug = _state(test)
    first = test.result.splats[0].fingerprint if test.result.splats else ""
    return TestRun(
        test=lasting_name(test),
        kernel=test.kernel,
        machine=labelled(test.machine, label),
        state=state,
        seconds=round(test.seconds, 3),
        cases=_cases(test.result.cases, known=test.good),
        reason="" if state is State.PASS else _reason(test),
        fingerprint=first,
        bug=bug,
        about=sentence(test.about)[:_REASON],
        repeat="" if test.good else test.repeat,
    )


def _reason(test: TestRecord) -> str:
    """Return one line: the first reason, and the first of its details that a person reads."""
    title = test.result.title.strip().partition("\n")[0]
    details = test.result.reasons[0].details if test.result.reasons else ()
    # The details of a splat are its lines, of which the title is the first that tells.
    more = details[0] if details and test.status is Status.FAIL else ""
    return ": ".join(filter(None, (title, more)))[:_REASON]


def _state(test: TestRecord) -> tuple[State, str]:
    """Return the state of a test, and the page of the bug that it is about."""
    page = f"docs/findings/{_finding(test)}.md" if test.area == FINDINGS else ""
    if test.status is Status.SKIP and (known := _KNOWN.match(test.result.title)):
        return State.KNOWN, known["page"] or known["fixed"] or page
    cases = test.result.cases
    if page and test.status is Status.FAIL and cases and all(map(_passed, cases)):
        # tests/validation/test_findings.py: the program passed where its bug had to show.
        return State.EXPIRED, page
    return State(test.status.value), page


def _finding(test: TestRecord) -> str:
    return test.name.replace("_", "-")


def _passed(case: KtapResult) -> bool:
    return case.outcome is Outcome.PASS


def _cases(results: tuple[KtapResult, ...], *, known: bool) -> dict[State, tuple[str, ...]]:
    """Return the names of the cases by state; one that failed in a good test is a known bug."""
    found: dict[State, list[str]] = defaultdict(list)
    seen: set[str] = set()
    for name, case in _flat(results, ""):
        unique = name if name not in seen else f"{name} #{case.number}"
        seen.add(unique)
        state = _OUTCOMES.get(case.outcome, State.FAIL)
        found[State.KNOWN if known and state is State.FAIL else state].append(unique)
    return {state: tuple(names) for state, names in found.items()}


def _flat(results: Iterable[KtapResult], above: str) -> Iterator[tuple[str, KtapResult]]:
    for case in results:
        name = above + (case.name or str(case.number))
        yield name, case
        yield from _flat(case.subtests, f"{name}: ")


def measures_of(report: Report, label: str = "") -> tuple[Measure, ...]:
    """Return what has a trend: for each kernel and machine what its tests left behind and took.

    The counters are sums over the tests of the run, of a sample after a test less that before it.
    """
    found: dict[tuple[str, str, str, str], float] = defaultdict(float)
    for test in report.tests:
        place = (test.kernel, labelled(test.machine, label))
        found["tests", *place, "s"] += test.seconds
        samples = test.result.samples
        if len(samples) < 2:
            continue
        first, last = samples[0].values, samples[-1].values
        for rule in RULES:
            if rule.name in first and rule.name in last:
                unit = "pages" if rule.vmstat or rule.name.startswith("HugePages") else "kB"
                found[f"left behind: {rule.name}", *place, unit] += (
                    last[rule.name] - first[rule.name]
                )
    for kernel in report.kernels:
        if kernel.boot_seconds is not None:
            found["boot", kernel.name, labelled(kernel.machine, label), "s"] = kernel.boot_seconds
    return tuple(
        Measure(name, kernel, machine, unit, round(value, 3))
        for (name, kernel, machine, unit), value in found.items()
    )
