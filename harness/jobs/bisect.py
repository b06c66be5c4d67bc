# SPDX-License-Identifier: MIT
"""``mte-harness bisect``: find the commit, patch or release with which a bug came or went."""

from __future__ import annotations

import dataclasses
import functools
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.bugs.answer import answer, removed_lines
from harness.bugs.git_history import GitHistory, git_history
from harness.bugs.journal import open_journal
from harness.bugs.kernel_trial import KernelTrials
from harness.bugs.release_history import release_history
from harness.bugs.search import Search, Settings
from harness.bugs.series_history import series_history
from harness.core.errors import OK, PatchError, UsageError
from harness.core.paths import cache_root
from harness.jobs.options import kernel_argument, shown_progress
from harness.jobs.report_options import Place, report_options
from harness.kernel import TreeKernel
from harness.kernel.debian_binary import PREFIX, released_kernels
from harness.kernel.patches import Patch
from harness.kernel.series import Series
from harness.suite.session import Session
from harness.suite.target import guest_kernel
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.bugs.points import History
    from harness.bugs.reproducer import Reproducer
    from harness.core.progress import Progress
    from harness.suite.target import Target

DEBIAN = "debian"  # in place of KERNEL: the kernels that Debian built
STATE = "bisect.json"
WITHOUT = "without "  # a point: the last kernel without that commit or patch


@click.command("bisect", context_settings={"ignore_unknown_options": True})
@kernel_argument
@report_options
@click.option(
    "--good", metavar="POINT", help="A revision, release or number of patches without the bug."
)
@click.option(
    "--bad", metavar="POINT", help="One with it; the bug came if it is the later one, else it went."
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.999999),
    default=0.99,
    show_default=True,
    help="That a kernel on which the bug did not show does not have it.",
)
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Runs on the bad end, from which the rate is measured.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True),
    help="How often it shows, if that is known.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(STATE),
    show_default=True,
    help="The file with which the same command goes on after an interruption.",
)
def bisect_command(
    kernel: str,
    reproducer: Reproducer,
    place: Place,
    sign: str,
    good: str | None,
    bad: str | None,
    confidence: float,
    runs: int,
    rate: float | None,
    state: Path,
) -> int:
    """Find with which change a bug that PROGRAM shows came, or went.

    KERNEL is a git tree, with --good and --bad as revisions; a recipe with patches, or a kernel
    with --series, which is searched patch by patch; or the word debian, with --good and --bad as
    released kernels (debian:6.16.12). Each try is a fresh guest. The answer is on standard output.
    """
    with shown_progress() as progress:
        session = Session(cache_root(), progress, place.qemu_binary)
        reproducer.check(session.programs, PAGE)
        where = _where(kernel, good, bad, place.target, progress)
        settings = Settings(where.came, confidence, runs, rate, sign)
        search = {
            "kernel": where.kernel,
            "earlier end": where.history.first,
            "later end": where.history.last,
            "program": reproducer.identity(),
            "options": place.words(),
            "sign": sign,
        }
        journal = open_journal(state, search)
        save = functools.partial(journal.save, state)
        trials = KernelTrials(session, reproducer, where.target)
        found = Search(where.history, trials, journal, settings, save, progress.step)
        result = found.result()
        removed: list[str] = []
        if len(result.suspects) == 1 and where.without:
            tally = found.tried_without(WITHOUT + result.suspects[0])
            removed = removed_lines(tally, found.needed, came=where.came)
    how = ["Found by", f"  {shlex.join(['mte-harness', *sys.argv[1:]])}"]
    text = answer(where.history, journal, result, came=where.came, removed=removed, how=how)
    click.echo(text, nl=False)
    return OK


@dataclasses.dataclass(frozen=True)
class _Where:
    """Where a search takes place. ``target``: the kernel of a point, or of WITHOUT.

    ``without`` tells whether a culprit can be taken out again.
    """

    kernel: str
    history: History
    came: bool
    target: Callable[[str], Target]
    without: bool = False


def _where(
    kernel: str,
    good: str | None,
    bad: str | None,
    target: Callable[[str], Target],
    progress: Progress,
) -> _Where:
    """Return the history that the arguments name. Raise UsageError or SourceError."""
    if kernel == DEBIAN or kernel.startswith(PREFIX):
        if good is None or bad is None:
            raise UsageError("released kernels need --good and --bad", "such as debian:6.16.12")
        released = functools.partial(released_kernels, cache=cache_root(), progress=progress)
        releases, came = release_history(good, bad, released)
        return _Where(DEBIAN, releases, came, target)
    whole = target(kernel)
    source = guest_kernel(whole)
    if isinstance(source, TreeKernel) and not source.revision and good and bad:
        commits, came = git_history(source.path, good, bad)
        tree = source

        def of_commit(point: str) -> Target:
            if point.startswith(WITHOUT):
                series = _undo(commits, point.removeprefix(WITHOUT))
                options = dataclasses.replace(tree.options, series=(*tree.options.series, series))
                changed = dataclasses.replace(tree, revision=commits.last, options=options)
                return dataclasses.replace(whole, kernel=changed)
            return dataclasses.replace(whole, kernel=dataclasses.replace(tree, revision=point))

        return _Where(str(source.path), commits, came, of_commit, without=True)
    patches, came = series_history(source, good, bad, progress)

    def of_patch(point: str) -> Target:
        if point.startswith(WITHOUT):
            changed = patches.without(point.removeprefix(WITHOUT))
        else:
            changed = patches.source(point)
        return dataclasses.replace(whole, kernel=changed)

    return _Where(f"{kernel} {patches.digest}", patches, came, of_patch, without=True)


def _undo(commits: GitHistory, commit: str) -> Series:
    """Return the series that takes a commit out again. Raise PatchError for a merge."""
    undo = commits.undo(commit)
    if not undo.strip():
        raise PatchError(f"{commit[:12]} is a merge, or changes no file")
    return Series(commits.path / f"without-{commit[:12]}", (Patch(f"undo {commit[:12]}", undo),))
