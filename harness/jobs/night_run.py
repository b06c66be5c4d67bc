# SPDX-License-Identifier: MIT
"""Runs a night, entry by entry, so that an interrupted one goes on where it was.

In the directory of the results, ``nights/NAME/night.json`` is the plan, and each entry that is done
has its record in ``nights/NAME/records/``. What has no record is run again from its start.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import click

from harness.core.errors import HarnessError, UsageError
from harness.core.git_output import run_git
from harness.core.paths import is_checkout, resources
from harness.core.toolchain import find_toolchain
from harness.history import night as records
from harness.history.night import (
    RECORDS,
    Context,
    Night,
    Planned,
    Run,
    State,
    TestRun,
    load_night,
    load_run,
)
from harness.history.night_plan import Earlier, Listed, clock, forecast, plan, waiting_longest
from harness.history.past import all_nights
from harness.history.stability import WINDOW
from harness.jobs.night_cluster import Cluster, left_out, run_on_cluster
from harness.jobs.night_suites import SUITES, Job, Outcome, run_job
from harness.measure.measuring import this_host
from harness.report.model import NO_KERNEL
from harness.vm.qemu import find_qemu

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.history.night_plan import Matrix

NAME = "%Y%m%d-%H%M%S"
# After which an interrupted night is not gone on with: the next one, a day later, is a new one.
STALE = timedelta(hours=20)


@dataclass(frozen=True)
class Place:
    """The directory of the results, and what is in it."""

    results: Path

    def night(self, name: str) -> Path:
        """Return the directory of a night."""
        return self.results / "nights" / name

    def plan(self, name: str) -> Path:
        """Return the file of its plan."""
        return self.night(name) / records.PLAN

    def entry(self, name: str, number: int, entry: str) -> tuple[Path, Path]:
        """Return the record of an entry, and the directory of its report."""
        words = re.sub(r"[^A-Za-z0-9.@]+", "-", entry).strip("-")[:80]
        stem = f"{number:03}-{words}"
        return self.night(name) / RECORDS / f"{stem}.json", self.night(name) / stem


def unfinished(place: Place, matrix: Matrix) -> Night | None:
    """Return the last night, if it was interrupted lately, with this matrix."""
    files = records.night_files(place.results)
    if not files:
        return None
    last = load_night(files[-1])
    # A clock that was set back may show a time before the start.
    stale = abs(datetime.now(UTC) - last.began) > STALE
    return None if last.finished or stale or last.matrix != digest(matrix) else last


def untold(place: Place) -> list[str]:
    """Return the nights that did not come to their end: nobody was told what they found."""
    nights = [load_night(file) for file in records.night_files(place.results)[-WINDOW:]]
    return [night.name for night in nights if not night.finished]


def digest(matrix: Matrix) -> str:
    """Return what tells one matrix from another."""
    return hashlib.sha256(repr(matrix.cells).encode()).hexdigest()[:16]


def new_night(place: Place, matrix: Matrix, budget: float, database: sqlite3.Connection) -> Night:
    """Return the plan of a night that begins now."""
    now = datetime.now(UTC)
    rotating = {cell.suite for cell in matrix.cells if cell.rotate}
    last = _last_nights(database) if rotating else {}
    listed = {suite: _listed(suite, last, database) for suite in rotating}
    entries = plan(matrix, budget, _earlier(database), listed)
    started = now.isoformat(timespec="seconds")
    return Night(_name(place, now), started, digest(matrix), budget, entries)


def _listed(suite: str, last: Mapping[str, str], database: sqlite3.Connection) -> Listed:
    """Return the tests of a suite in rotation; the other entries run where they cannot be told."""
    list_tests = SUITES[suite].tests
    if list_tests is None:
        return Listed()
    try:
        names = waiting_longest(list_tests(), last)
    except HarnessError as error:
        return Listed(trouble=str(error))
    return Listed(names, tuple(sorted(_of_suite(database, suite) - {*names})))


def _name(place: Place, now: datetime) -> str:
    """Return a name after that of all nights, whose order is that of their names.

    Two nights in a second, or after the clock was set back, do not get one another's records.
    """
    after = now
    for path in place.results.glob("nights/*"):
        with contextlib.suppress(ValueError):  # of another name: no night
            taken = datetime.strptime(path.name, NAME).replace(tzinfo=UTC)
            after = max(after, taken + timedelta(seconds=1))
    return after.strftime(NAME)


def _earlier(database: sqlite3.Connection) -> dict[str, Earlier]:
    """Return seconds and number of tests of all whole runs, by the name of their entry."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for entry, seconds, tests in database.execute(
        "SELECT entry, run.seconds, count(result.seconds) FROM run LEFT JOIN result "
        "ON result.run = run.id WHERE whole GROUP BY run.id ORDER BY run.id"
    ):
        found[entry].append((seconds, tests))
    return {entry: Earlier(tuple(runs)) for entry, runs in found.items()}


def _last_nights(database: sqlite3.Connection) -> dict[str, str]:
    """Return the last night of each test."""
    return dict(
        database.execute(
            "SELECT test, max(night) FROM result JOIN subject ON subject.id = result.subject "
            "JOIN run ON run.id = result.run WHERE name = '' GROUP BY test"
        )
    )


def _of_suite(database: sqlite3.Connection, suite: str) -> set[str]:
    """Return the tests that a suite had in the last nights."""
    nights = all_nights(database)[-WINDOW:]
    rows = database.execute(
        "SELECT DISTINCT test FROM run JOIN result ON run.id = result.run "
        "JOIN subject ON subject.id = result.subject "
        "WHERE name = '' AND suite = ? AND night >= ?",
        (suite, min(nights, default="")),
    )
    return {test for (test,) in rows}


def run_night(
    place: Place, night: Night, workers: int, progress: Progress, cluster: Cluster | None = None
) -> Night:
    """Run what the night still has to run, and return it with what was left out.

    An interruption (KeyboardInterrupt, SystemExit) leaves what is done. Raise UsageError if nothing
    fits in the night.
    """
    if cluster:
        night = replace(night, entries=left_out(cluster, night.entries))
    if all(entry.left_out for entry in night.entries):
        least = min(night.entries, key=lambda entry: entry.expected)
        raise UsageError(
            f"nothing fits in {clock(night.budget)}: {least.entry} alone is expected to take "
            f"{clock(least.expected)}",
            "give a greater --budget",
        )
    records.save(night, place.plan(night.name))
    click.echo(forecast(night.entries, night.budget))
    if cluster:
        _run_on_cluster(place, night, cluster)
    spent = 0.0
    ends: list[Planned] = []
    for number, entry in enumerate(night.entries, 1):
        file, directory = place.entry(night.name, number, entry.entry)
        if file.is_file():
            spent += load_run(file).seconds
        elif not entry.left_out:
            if spent and spent + entry.expected > night.budget:
                late = f"no time: {clock(entry.expected)} expected, the others took {clock(spent)}"
                click.echo(f"not run  {entry.entry}  ({late})")
                ends.append(replace(entry, left_out=late))
                continue
            shutil.rmtree(directory, ignore_errors=True)  # of an interrupted try
            job = Job(entry, directory, workers, progress)
            start = time.monotonic()
            outcome = run_job(job)
            run = _run_of(place, night, entry, directory, outcome, time.monotonic() - start)
            records.save(run, file)
            spent += run.seconds
            click.echo(_line(run))
        ends.append(entry)
    done = replace(night, entries=tuple(ends))
    records.save(done, place.plan(night.name))
    return done


def finish(place: Place, night: Night) -> None:
    """Mark a night as finished, once all that it leaves is there."""
    done = datetime.now(UTC).isoformat(timespec="seconds")
    records.save(replace(night, finished=done), place.plan(night.name))


def _run_on_cluster(place: Place, night: Night, cluster: Cluster) -> None:
    """Leave a record of each entry of the night that has none."""
    missing = {
        place.entry(night.name, number, entry.entry): entry
        for number, entry in enumerate(night.entries, 1)
        if not entry.left_out
    }
    missing = {paths: entry for paths, entry in missing.items() if not paths[0].is_file()}
    if not missing:
        return
    earlier = [file.parent for file in sorted(place.results.glob("nights/*/*/report.json"))]
    directories = {directory: entry for (_, directory), entry in missing.items()}
    outcomes = run_on_cluster(cluster, directories, earlier)
    for (file, directory), entry in missing.items():
        outcome = outcomes[entry.entry]
        # What one host would need, so that the next forecast holds wherever it is run.
        seconds = sum(test.seconds for test in outcome.tests)
        run = _run_of(place, night, entry, directory, outcome, seconds)
        records.save(run, file)
        click.echo(_line(run))


def _run_of(
    place: Place, night: Night, entry: Planned, directory: Path, outcome: Outcome, seconds: float
) -> Run:
    """Return the record of an entry that has just ended, after ``seconds``."""
    started = datetime.now(UTC) - timedelta(seconds=seconds)
    shown = (directory / "report.html").relative_to(place.results).as_posix()
    tests = (*outcome.tests, *_not_run(outcome, entry))
    return Run(
        night=night.name,
        entry=entry.entry,
        suite=entry.suite,
        kernel=entry.kernel,
        machine=entry.machine,
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        prepare_seconds=round(outcome.prepare_seconds, 1),
        exit_status=outcome.exit_status,
        context=_context(outcome, entry),
        kernels=outcome.kernels,
        tests=tests,
        measures=outcome.measures,
        selection=_selection(entry),
        errors=outcome.errors,
        not_run=outcome.not_run or {},
        command=outcome.command,
        report=shown if outcome.page else "",
        gone=entry.gone,
    )


def _not_run(outcome: Outcome, entry: Planned) -> Iterator[TestRun]:
    """Yield what was picked of a rotation, and has no result although the run was not cut short."""
    tried = {test.test for test in outcome.tests} | (outcome.not_run or {}).keys()
    if not outcome.errors:
        for name in entry.picked:
            if name not in tried:
                reason = "it was asked for, and the suite did not run it"
                yield TestRun(name, NO_KERNEL, "", State.ERROR, 0, reason=reason)


def _selection(entry: Planned) -> str:
    """Return what of the suite is run; two rotations are the same only if their tests are."""
    if not entry.picked:
        return entry.select
    chosen = hashlib.sha256("\n".join(sorted(entry.picked)).encode()).hexdigest()[:8]
    return f"{entry.select} {len(entry.picked)} of {entry.known} ({chosen})".strip()


def _line(run: Run) -> str:
    counts: dict[str, int] = defaultdict(int)
    for test in run.tests:
        counts[test.state.value] += 1
    found = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no test"
    trouble = f"  CUT SHORT: {run.errors[0]}" if run.errors else ""
    return f"{clock(run.seconds):>8}  {run.entry}  ({found}){trouble}"


def _context(outcome: Outcome, entry: Planned) -> Context:
    """Return what else a result depends on; "" for what cannot be told on this host."""
    try:
        qemu = outcome.qemu or find_qemu(entry.qemu or None).banner
    except HarnessError:
        qemu = ""
    try:
        compiler = find_toolchain().identity
    except HarnessError:
        compiler = ""
    host = this_host()
    return Context(
        harness=_harness(),
        qemu=qemu,
        compiler=compiler,
        host=f"{platform.node()}: {host.host_class}, Linux {host.kernel}",
    )


def _harness() -> str:
    """Return the commit of this checkout, with a digest of what is not committed."""
    root = resources()
    if is_checkout() and (commit := _git(root, "rev-parse", "--short=12", "HEAD").strip()):
        edits = _git(root, "diff", "HEAD") + _git(root, "status", "--porcelain")
        dirty = hashlib.sha256(edits.encode()).hexdigest()[:8] if edits else ""
        return f"{commit} with edits {dirty}" if dirty else commit
    try:
        return version("mte-harness")
    except PackageNotFoundError:  # a checkout without git, and not installed
        return "unknown"


def _git(root: Path, *words: str) -> str:
    done = run_git(root, *words)
    return "" if done.returncode else done.stdout
