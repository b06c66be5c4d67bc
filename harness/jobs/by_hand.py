# SPDX-License-Identifier: MIT
"""What ``--dry-run`` prints: for each target the command that boots it by hand."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from harness.core.errors import OK
from harness.jobs.output_stream import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.suite.session import Session
    from harness.suite.target import Target


def print_commands(session: Session, targets: Iterable[Target]) -> int:
    """Print a line for each target on standard output; return the exit status.

    Kernels are built if need be, all of them before the first line; no guest is started.
    """
    for command in [session.by_hand(target) for target in targets]:
        click.echo(shlex.join(command))
    say("the console is on the terminal; Ctrl-A X ends QEMU")
    return OK
