# SPDX-License-Identifier: MIT
"""The arguments and options that several commands take, and the progress that they show."""

from __future__ import annotations

import contextlib
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.core.errors import UsageError
from harness.core.progress import Progress, plain_progress
from harness.core.terminal_progress import TerminalProgress
from harness.guest.board import BoardOptions
from harness.kernel import load_series
from harness.kernel.board_address import is_board
from harness.kernel.build_options import parse_options
from harness.vm.packaged_qemu import RELEASES
from harness.vm.spec import machine_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
dry_run_option = click.option(
    "--dry-run",
    is_flag=True,
    help="Start no guest: print the QEMU command that boots it by hand, with the console on the "
    "terminal. The kernel is built if need be.",
)
gdb_option = click.option(
    "--gdb", is_flag=True, help="Let gdb attach to the guest, and print how. No time limits."
)
_BOARD_OPTIONS = (
    click.option(
        "--swap-device",
        metavar="DEVICE",
        default="",
        help="The one block device of a board (ssh://root@board) that may be written: probes swap "
        "to it. Its first 64 KiB are put back, the rest is lost.",
    ),
    click.option(
        "--destructive",
        is_flag=True,
        help="Run probes that take pages or CPUs from a board's kernel until it boots again.",
    ),
    click.option(
        "--reboot",
        metavar="COMMAND",
        default="",
        help="A shell line of this host that resets the board, after a test that failed.",
    ),
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
        "--series",
        metavar="FILE",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Patches on top of a KERNEL that is built from source: an mbox as a mailing list has "
        "it, a patch, or a directory of patches. Given twice, one after the other.",
    ),
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
    """Give a command --series, --config, --set and --llvm, which it takes as ``options``.

    The files of --series are read before the command begins; what is left out of them is printed.
    """

    @functools.wraps(command)
    def with_options(
        *words: Any,
        series: tuple[Path, ...],
        config: str | None,
        assignments: tuple[str, ...],
        llvm: bool,
        **others: Any,
    ) -> int:
        loaded = load_series(series, plain_progress())
        options = parse_options(config, assignments, llvm=llvm, series=loaded)
        return command(*words, options=options, **others)

    for option in reversed(_SOURCE_OPTIONS):
        option(with_options)
    return with_options


def board_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command --swap-device, --destructive and --reboot, which it takes as ``allowed``."""

    @functools.wraps(command)
    def with_options(
        *words: Any, swap_device: str, destructive: bool, reboot: str, **others: Any
    ) -> int:
        allowed = BoardOptions(swap_device, destructive, reboot)
        return command(*words, allowed=allowed, **others)

    for option in reversed(_BOARD_OPTIONS):
        option(with_options)
    return with_options


def refuse_without_board(allowed: BoardOptions, kernels: Iterable[str]) -> None:
    """Raise UsageError for an option about boards where no kernel is one."""
    if allowed.words() and not any(map(is_board, kernels)):
        raise UsageError(
            f"{allowed.words()[0]} is for a board, and no KERNEL is one", "ssh://root@board"
        )


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show progress on standard error: one live line on a terminal, else a line a step."""
    if not sys.stderr.isatty():
        yield plain_progress()
        return
    with TerminalProgress(sys.stderr) as progress:
        yield progress
