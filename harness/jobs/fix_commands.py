# SPDX-License-Identifier: MIT
"""``mte-harness fix record|show``: a cure of kernel-configs/fixes, ready to be sent."""

from __future__ import annotations

import re
from pathlib import Path

import click

from harness.core.errors import OK, PROGRAM_FAILED, UsageError
from harness.core.files import replace_file
from harness.core.paths import cache_root, checkout, resources
from harness.core.progress import plain_progress
from harness.jobs.options import qemu_option, shown_progress
from harness.jobs.output_stream import say
from harness.jobs.series_commands import find_recipe
from harness.kernel.base import find_origin, pristine
from harness.kernel.recipe import RECIPES, DirectoryBase, Recipe
from harness.series.cure_mails import mails_of, recipients_of
from harness.series.cure_runs import (
    CURED,
    FAILED,
    PLAIN,
    make_runs,
    read_runs,
    write_runs,
)
from harness.series.prefix import series_files
from harness.suite.session import Session
from harness.verdict.result import Status

_AUTHOR = re.compile(r"[^<>\n]+ <[^<>\s]+@[^<>\s]+>")


@click.group("fix")
def fix_group() -> None:
    """Try cures of kernel bugs, and write them as mails that a person can send."""


@fix_group.command("record")
@click.argument("name")
@qemu_option
def record_command(name: str, qemu_binary: str | None) -> int:
    """Run the selftest of the cure NAME on stock and on fixes, and keep what it printed.

    The record is runs.json beside the patches; the cover letter quotes it.
    """
    checkout("mte-harness fix record")
    recipe = _find(name)
    with shown_progress() as progress:
        session = Session(cache_root(), progress, qemu_binary)
        runs = make_runs(recipe, session)
    for run, wanted in ((runs.before, FAILED), (runs.after, (Status.PASS,))):
        if run.status not in wanted:
            click.echo(run.output, nl=False)
            say(f"nothing is written: the result of {runs.program} on {run.kernel}: {run.status}")
            return PROGRAM_FAILED
    path = write_runs(recipe, runs)
    click.echo(f"{path}: {runs.program} fails on {PLAIN}, and passes on {CURED}")
    return OK


@fix_group.command("show")
@click.argument("name")
@click.argument(
    "directory", required=False, type=click.Path(path_type=Path, file_okay=False, resolve_path=True)
)
@click.option(
    "--author",
    metavar="'NAME <ADDRESS>'",
    help="You, who sign off the patches (a DCO) and send them.",
)
def show_command(name: str, directory: Path | None, author: str | None) -> int:
    """Print the mails of the cure NAME, or write them to DIRECTORY for git send-email.

    They are addressed by the source's own scripts/get_maintainer.pl. Nothing is sent.
    """
    if author is not None and not _AUTHOR.fullmatch(author):
        raise UsageError(
            f"--author {author!r}: no name with an address", "'Name <you@example.org>'"
        )
    recipe = _find(name)
    assert not isinstance(recipe.base, DirectoryBase)
    runs = read_runs(recipe)
    progress = plain_progress()
    tree = pristine(find_origin(recipe.base, cache_root(), progress), cache_root(), progress)
    mails = mails_of(recipe, runs, recipients_of(series_files(recipe), tree), author)
    if directory is None:
        click.echo("\n".join(mail.text for mail in mails), nl=False)
    else:
        if directory.is_dir() and any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty", "name another directory")
        directory.mkdir(parents=True, exist_ok=True)
        for mail in mails:
            replace_file(directory / mail.name, mail.text.encode())
        say(f"read them, then: git send-email {directory}/*.patch")
    if author is None:
        say("nobody has signed these off: give your name with --author before you send them")
    return OK


def _find(name: str) -> Recipe:
    """Return the recipe of a cure. Raise UsageError that lists them if there is none."""
    places = resources() / RECIPES / CURED
    names = sorted(path.parent.name for path in places.glob("*/kernel.toml"))
    if name not in names:
        raise UsageError(f"there is no cure {name!r}", f"name one of: {', '.join(names)}")
    return find_recipe(f"{CURED}/{name}")
