# SPDX-License-Identifier: MIT
"""The options that say how a program of a bug report is run."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.bugs.reproducer import Reproducer

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = click.FloatRange(min=0, min_open=True, max=7 * 86400)
COUNT = click.IntRange(1, 10000)
_OPTIONS = (
    click.argument("program", type=click.Path(path_type=Path)),
    click.argument("arguments", nargs=-1, type=click.UNPROCESSED),
    click.option(
        "--timeout", type=SECONDS, default=600.0, show_default=True,
        help="Seconds for one run; a program that still runs then hangs, which is a failure.",
    ),
    click.option(
        "--for", "lives", type=SECONDS, metavar="SECONDS", default=None,
        help="PROGRAM runs until it is ended: end it after SECONDS, which is no failure.",
    ),
    click.option(
        "--repeat", type=COUNT, default=1, metavar="N",
        help="Run PROGRAM N times in one guest, one after the other, until it fails.",
    ),
    click.option(
        "--processes", type=COUNT, default=1, metavar="N", help="Run N of PROGRAM at once."
    ),
    click.option(
        "--console", metavar="REGEX", default="",
        help="The bug shows only on the console: REGEX matches what the kernel prints.",
    ),
    click.option(
        "--before", metavar="COMMAND", default="",
        help="A shell command in the guest before PROGRAM, such as a write to /sys.",
    ),
)  # fmt: skip


def report_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command PROGRAM, its arguments and these options, as ``reproducer``."""

    @functools.wraps(command)
    def with_options(
        *words: Any,
        program: Path,
        arguments: tuple[str, ...],
        timeout: float,
        lives: float | None,
        repeat: int,
        processes: int,
        console: str,
        before: str,
        **others: Any,
    ) -> int:
        reproducer = Reproducer(
            program, arguments, timeout, lives or 0.0, repeat, processes, console, before
        )
        return command(*words, reproducer=reproducer, **others)

    for option in reversed(_OPTIONS):
        option(with_options)
    return with_options
