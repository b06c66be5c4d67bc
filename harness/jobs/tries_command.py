# SPDX-License-Identifier: MIT
"""``mte-harness tries``: which cases needed another guest on this host, and how often."""

from __future__ import annotations

import click

from harness.core import errors
from harness.core.paths import cache_root
from harness.suite.precondition_record import FILE, PreconditionRecord


@click.command("tries")
def tries_command() -> int:
    """Show which cases of probes needed more than one guest on this host, and how often.

    What a case needs (a stale frame, a huge page, a page in swap) may not come about by chance;
    then it is tried again in a fresh guest. A case that needs that in more than 1 of 100 runs has
    a defect.
    """
    path = cache_root() / FILE
    rows = PreconditionRecord(path).often() if path.is_file() else ()
    for row in rows:
        never = f", in vain in {row.never}" if row.never else ""
        click.echo(
            f"{row.again} of {row.runs} runs{never}: {row.probe}::{row.case} "
            f"on {row.kernel}, {row.machine}"
        )
    if not rows:
        click.echo("no case needed another guest on this host")
    return errors.OK
