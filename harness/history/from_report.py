# SPDX-License-Identifier: MIT
"""A report of pytest as part of a night's record: states, names that last, and measures."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
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
_GONE = "no longer shows on"  # tests/validation/test_findings.py
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
    # A test whose guest did not come up is the same test as on other nights.
    machines = {test.target: test.machine for test in report.tests if test.machine}
    return tuple(
        _test(
            replace(test, machine=test.machine or machines.get(test.target, ""))
            if test.target
            else test,
            label,
        )
        for test in report.tests
        if not test.base_gone
    )


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
    """Return a name that is the test's on every kernel: area, name, and parameters if need be.

    That of a test that chooses its kernels itself is what a rotation calls it.
    """
    if not test.target:
        return node_name(test.id)
    parameters = test.id.partition("[")[2].removesuffix("]")
    if parameters.startswith(test.target):
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
    """Return the state of a test, and the page of the known bug that it shows."""
    title = test.result.title
    if test.status is Status.SKIP and (known := _KNOWN.match(title)):
        return State.KNOWN, known["page"] or known["fixed"] or ""
    # Not each program that passes its cases: it may have left memory behind.
    if test.area == FINDINGS and test.status is Status.FAIL and _GONE in title:
        return State.EXPIRED, ""
    return State(test.status.value), ""


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
