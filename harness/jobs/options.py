# SPDX-License-Identifier: MIT
"""The arguments and options that several commands take, and the progress that they show."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from harness.core.progress import Progress, plain_progress
from harness.core.terminal_progress import TerminalProgress
from harness.vm.packaged_qemu import RELEASES
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from collections.abc import Iterator

kernel_argument = click.argument("kernel", metavar="KERNEL[@MACHINE]")
machine_option = click.option(
    "--machine",
    type=click.Choice(machine_names()),
    help="Machine, where KERNEL@MACHINE names none (default: the recipe's, or emulator).",
)
qemu_option = click.option(
    "--qemu-binary",
    metavar="PATH|RELEASE",
    help=f"A qemu-system-aarch64 of your own, or a release to fetch: {', '.join(RELEASES)}.",
)
append_option = click.option(
    "--append", metavar="WORDS", default="", help="More words for the kernel's command line."
)
workers_option = click.option(
    "-n",
    "workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Guests at once.",
)


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show progress on standard error: one live line on a terminal, else a line a step."""
    if not sys.stderr.isatty():
        yield plain_progress()
        return
    with TerminalProgress(sys.stderr) as progress:
        yield progress
