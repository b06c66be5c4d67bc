# SPDX-License-Identifier: MIT
"""The arguments and options that several commands take, and the progress that they show."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

import click

from harness.core.progress import Progress, plain_progress
from harness.core.terminal_progress import TerminalProgress
from harness.kernel.build_options import parse_options
from harness.vm.packaged_qemu import RELEASES
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
_SOURCE_OPTIONS = (
    click.option(
        "--config",
        metavar="FILE|tree",
        help="A .config to start from in place of stock's, or `tree` for the source's own.",
    ),
    click.option(
        "--set",
        "assignments",
        metavar="SYMBOL=VALUE",
        multiple=True,
        help="A config symbol, on top of all else; may be repeated.",
    ),
    click.option("--llvm", is_flag=True, help="Build with clang and lld."),
)


def source_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command --config, --set and --llvm; it takes them as one argument, ``options``."""

    @functools.wraps(command)
    def with_options(
        *words: Any,
        config: str | None,
        assignments: tuple[str, ...],
        llvm: bool,
        **others: Any,
    ) -> int:
        options = parse_options(config, assignments, llvm=llvm)
        return command(*words, options=options, **others)

    for option in reversed(_SOURCE_OPTIONS):
        option(with_options)
    return with_options


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show progress on standard error: one live line on a terminal, else a line a step."""
    if not sys.stderr.isatty():
        yield plain_progress()
        return
    with TerminalProgress(sys.stderr) as progress:
        yield progress
