# SPDX-License-Identifier: MIT
"""The suites that a night can run: each a function from an entry to its outcome.

To add one, write a function that takes a Job and returns an Outcome, and name it in SUITES. What
it cannot do on this host it says by a HarnessError.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core import errors
from harness.core.errors import BaseGoneError, HarnessError
from harness.core.host_trouble import host_trouble
from harness.core.paths import cache_root, checkout, resources
from harness.explore.exploration import explore
from harness.explore.guest_search import random_batches
from harness.explore.trial import Place
from harness.history.from_report import (
    kernels_of,
    labelled,
    measures_of,
    node_name,
    not_run_of,
    results_of,
)
from harness.history.night import COMES_UP, KernelRun, Measure, State, TestRun
from harness.jobs.known_bad import PREFIX, prove, recipes
from harness.jobs.run_suite import collect_tests, prepare, run_suite
from harness.kernel import locate_kernel
from harness.measure.costs import measure_costs
from harness.report import json_file
from harness.suite.collect import target_id
from harness.suite.plugin import VALIDATION
from harness.suite.report_files import PAGE, REPORT
from harness.suite.session import Session
from harness.suite.target import parse_target, split_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.progress import Progress
    from harness.history.night import Planned
    from harness.kernel import Kernel

SEQUENCES_MINUTES = 20


@dataclass(frozen=True)
class Job:
    """An entry to be run now, with the directory for its report."""

    entry: Planned
    directory: Path
    workers: int
    progress: Progress

    @property
    def session(self) -> Session:
        """A new session on the cache, with the QEMU of the entry."""
        return Session(cache_root(), self.progress, self.entry.qemu or None)

    @property
    def label(self) -> str:
        """What the machines' names say of a QEMU that is not the host's."""
        return f"QEMU {self.entry.qemu}" if self.entry.qemu else ""


@dataclass(frozen=True)
class Outcome:
    """What came of a job; see history.night.Run. ``errors``: what cut it short."""

    exit_status: int = errors.OK
    tests: tuple[TestRun, ...] = ()
    kernels: tuple[KernelRun, ...] = ()
    measures: tuple[Measure, ...] = ()
    not_run: dict[str, str] | None = None
    errors: tuple[str, ...] = ()
    qemu: str = ""
    command: str = ""
    page: bool = False
    prepare_seconds: float = 0.0


@dataclass(frozen=True)
class Suite:
    """A kind of suite. ``tests`` lists what can be run in rotation, None if that is nothing.

    ``takes_select``: it is pytest that runs it, so that a part can be selected.
    """

    about: str
    takes_kernel: bool
    run: Callable[[Job], Outcome]
    tests: Callable[[], tuple[str, ...]] | None = None
    takes_select: bool = False


def run_job(job: Job) -> Outcome:
    """Run an entry; trouble of the host, and a base that is gone, are in the outcome.

    The entries after it may be tried all the same.
    """
    if job.entry.trouble:
        return Outcome(HarnessError.status, errors=(job.entry.trouble,))
    try:
        return SUITES[job.entry.suite].run(job)
    except BaseGoneError as error:
        return Outcome(error.status, not_run={job.entry.entry: str(error)}, errors=(str(error),))
    except Exception as error:
        if (trouble := host_trouble(error)) is None:
            raise
        return Outcome(trouble.status, errors=(str(trouble),))


def _validation(job: Job) -> Outcome:
    """Run the suite of `validate` on the kernel, once it has come up."""
    entry = job.entry
    session = job.session
    target = parse_target(entry.kernel, entry.machine or None)
    machine = labelled(target.spec.name, job.label)
    # As the report calls it: what comes up is the kernel that the other tests are on.
    name = target_id(str(Path(split_target(entry.kernel)[0]).expanduser()))
    start = time.monotonic()
    try:
        prepare(session, [entry.kernel], entry.machine or None)
    except HarnessError as error:
        if errors.is_host_trouble(error.status):
            raise
        state = State.FAIL if error.status == errors.CANNOT_BUILD else State.LOST
        came = TestRun(COMES_UP, name, machine, state, time.monotonic() - start, reason=str(error))
        # Of one that was built it is known what was built.
        built = state is State.LOST and session.kernel_of(target)
        used = (_used(built, machine),) if built else ()
        return Outcome(error.status, (came,), used, errors=(f"{name}: {error}",))
    spent = time.monotonic() - start
    came = TestRun(COMES_UP, name, machine, State.PASS, round(spent, 3))
    return _pytest(job, [str(VALIDATION)], (came,), spent)


def _used(kernel: Kernel, machine: str) -> KernelRun:
    return KernelRun(kernel.name, machine, kernel.key, kernel.release, kernel.description)


def _pytest(
    job: Job, tests: list[str], first: tuple[TestRun, ...] = (), spent: float = 0
) -> Outcome:
    entry = job.entry
    status = run_suite(
        [entry.kernel] if entry.kernel else [],
        entry.machine or None,
        report=job.directory,
        expression=entry.select or None,
        workers=job.workers,
        qemu_binary=entry.qemu or None,
        quiet=True,
        tests=tests,
    )
    if not (job.directory / REPORT).is_file():
        trouble = f"pytest ended with {status}, and made no report"
        return Outcome(status, first, errors=(trouble,), prepare_seconds=spent)
    report = json_file.read(job.directory / REPORT)
    return Outcome(
        status,
        (*first, *results_of(report, job.label)),
        kernels_of(report, job.label),
        measures_of(report, job.label),
        not_run_of(report),
        report.errors,
        report.qemu,
        report.command,
        page=(job.directory / PAGE).is_file(),
        prepare_seconds=spent,
    )


def _own_tests(directory: str) -> Callable[[Job], Outcome]:
    """Return what runs the tests in a directory of the checkout, or those that were picked."""

    def run(job: Job) -> Outcome:
        root = checkout(f"the suite of {directory}")
        by_name = {node_name(node): node for node in collect_tests([str(root / directory)])}
        picked = [by_name[name] for name in job.entry.picked if name in by_name]
        if job.entry.picked and not picked:
            raise HarnessError("none of the tests that were picked is there any more")
        return _pytest(job, [str(root / node) for node in picked] or [str(root / directory)])

    return run


def _listed(directory: str) -> Callable[[], tuple[str, ...]]:
    def tests() -> tuple[str, ...]:
        root = checkout(f"the suite of {directory}")
        return tuple(node_name(node) for node in collect_tests([str(root / directory)]))

    return tests


def _known_bad(job: Job) -> Outcome:
    """Prove known-bad kernels; one that is proved passes."""
    tests: list[TestRun] = []
    kernels: list[KernelRun] = []
    not_run: dict[str, str] = {}
    session = job.session
    status = errors.OK
    for recipe in recipes([name.removeprefix(PREFIX) for name in job.entry.picked], None, None):
        machine = labelled(parse_target(recipe.name, None).spec.name, job.label)
        try:
            row = prove(session, recipe, None, job.workers)
        except BaseGoneError as error:
            not_run[recipe.name] = str(error)
            continue
        except HarnessError as error:  # the others may be tried all the same
            status = max(status, error.status)
            tests.append(
                TestRun(recipe.name, recipe.name, machine, State.ERROR, 0, reason=str(error))
            )
            continue
        state = State.PASS if row.proved else State.ERROR if row.trouble else State.FAIL
        tests.append(
            TestRun(recipe.name, recipe.name, machine, state, row.seconds, reason=row.difference)
        )
        status = max(status, row.host_status, errors.OK if row.proved else errors.PROGRAM_FAILED)
        kernel = session.kernel(locate_kernel(recipe.name, resources()))
        kernels.append(_used(kernel, machine))
    return Outcome(status, tuple(tests), tuple(kernels), not_run=not_run, qemu=str(session.qemu))


def _known_bad_names() -> tuple[str, ...]:
    return tuple(recipe.name for recipe in recipes([], None, None))


def _costs(job: Job) -> Outcome:
    """Measure what reuse of tag storage costs: numbers with a trend, and no verdict."""
    session = job.session
    start = time.monotonic()
    figures = measure_costs(session)
    kernel = session.kernel(locate_kernel("tag-storage", resources()))
    machine = labelled("dram/tag-storage", job.label)
    measures = []
    for figure in figures:
        number, _, unit = figure.result.partition(" ")
        if number:
            value = float(number) / (100 if unit == "%" else 1)
            measures.append(Measure(figure.what, kernel.name, machine, "ratio", value))
    done = TestRun(
        "costs/measured", kernel.name, machine, State.PASS, round(time.monotonic() - start, 3)
    )
    used = (_used(kernel, machine),)
    return Outcome(errors.OK, (done,), used, tuple(measures), qemu=str(session.qemu))


def _sequences(job: Job) -> Outcome:
    """Explore a kernel, each night with other sequences; a hit that is no known finding fails."""
    entry, session = job.entry, job.session
    target = parse_target(entry.kernel, entry.machine or None)
    start = time.monotonic()
    template = session.prepare(target)
    spent = time.monotonic() - start
    seed = int(datetime.now(UTC).timestamp())
    found = explore(
        session,
        Place(template),
        random_batches(seed, ""),
        SEQUENCES_MINUTES,
        job.directory,
        job.progress.step,
        workers=job.workers,
    )
    kernel, machine = template.kernel, labelled(target.spec.name, job.label)
    state = State.FAIL if found.new else State.KNOWN if found.kept else State.PASS
    reason = "; ".join(
        f"{hit.finding or 'new'}: {hit.deviation.kind}: {hit.deviation.text} ({printed.path})"
        for hit, printed in found.kept
    )
    seconds = round(found.seconds, 3)
    test = TestRun("explore/random", kernel.name, machine, state, seconds, reason=reason)
    speed = Measure("operations a second", kernel.name, machine, "1/s", round(found.speed, 1))
    return Outcome(
        errors.PROGRAM_FAILED if found.new else errors.OK,
        (test,),
        (_used(kernel, machine),),
        (speed,),
        qemu=str(session.qemu),
        command=f"mte-harness explore {entry.kernel} --minutes {SEQUENCES_MINUTES} --seed {seed}",
        prepare_seconds=spent,
    )


SUITES: dict[str, Suite] = {
    "validation": Suite(
        "the suite of `validate`", takes_kernel=True, run=_validation, takes_select=True
    ),
    "nightly-tests": Suite(
        "tests/nightly",
        takes_kernel=False,
        run=_own_tests("tests/nightly"),
        tests=_listed("tests/nightly"),
        takes_select=True,
    ),
    "mutants": Suite(
        "tests/mutants: each mutant is caught",
        takes_kernel=False,
        run=_own_tests("tests/mutants"),
        tests=_listed("tests/mutants"),
        takes_select=True,
    ),
    "known-bad": Suite(
        "known-bad kernels fail as their recipes say",
        takes_kernel=False,
        run=_known_bad,
        tests=_known_bad_names,
    ),
    "sequences": Suite(
        f"`explore` for {SEQUENCES_MINUTES} minutes", takes_kernel=True, run=_sequences
    ),
    "costs": Suite("what reuse of tag storage costs", takes_kernel=False, run=_costs),
}
