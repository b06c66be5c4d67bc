# SPDX-License-Identifier: MIT
"""The options that say how a program of a bug report is run."""

from __future__ import annotations

import functools
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.bugs.reproducer import Reproducer
from harness.bugs.signs import is_sign
from harness.core.errors import UsageError
from harness.jobs.options import append_option, machine_option, qemu_option, source_options
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.kernel.build_options import BuildOptions
    from harness.suite.target import Target

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
    click.option(
        "--sign",
        default="",
        metavar="TEXT",
        help="What counts as the bug: a sign that reproduce prints, or any (default: the usual).",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where the program runs: the options that say how a kernel is built and started."""

    machine: str | None
    append: str
    options: BuildOptions
    qemu_binary: str | None

    def target(self, kernel: str) -> Target:
        """Return the target of ``KERNEL`` or ``KERNEL@MACHINE``."""
        return parse_target(kernel, self.machine, self.append, self.options)

    def words(self) -> str:
        """Return them as a text that changes with any of them."""
        return shlex.join([*self.options.words(), self.machine or "", self.append])


def report_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command PROGRAM, its arguments and these options.

    It takes them as ``reproducer``, ``place`` and ``sign``.
    """

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
        sign: str,
        machine: str | None,
        append: str,
        options: BuildOptions,
        qemu_binary: str | None,
        **others: Any,
    ) -> int:
        if sign and not is_sign(sign):
            raise UsageError(f"--sign {sign!r} is no sign", "such as 'case peek', 'exit 1', or any")
        reproducer = Reproducer(
            program, arguments, timeout, lives or 0.0, repeat, processes, console, before
        )
        place = Place(machine, append, options, qemu_binary)
        return command(*words, reproducer=reproducer, place=place, sign=sign, **others)

    wrapped: Callable[..., Any] = with_options
    others: tuple[Callable[..., Any], ...] = (
        qemu_option,
        source_options,
        append_option,
        machine_option,
    )
    for option in (*others, *reversed(_OPTIONS)):
        wrapped = option(wrapped)
    return wrapped
