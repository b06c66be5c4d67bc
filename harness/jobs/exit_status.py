# SPDX-License-Identifier: MIT
"""The exit status of every command: a documented one, and a traceback only in a log."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING, NoReturn

import click

from harness.core import errors
from harness.core.errors import UsageError
from harness.core.host_trouble import host_trouble
from harness.host.child import unwind_on_sigterm
from harness.jobs.output_stream import flush_streams, open_missing_streams, say, spell_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.errors import HarnessError


def exit_with_status(command: Callable[[], int | None]) -> NoReturn:
    """Run ``command`` and exit with the status that it returns, or with that of its error."""
    open_missing_streams()
    spell_out()
    unwind_on_sigterm()
    status = _status_of(command)
    flush_streams()
    sys.exit(status)


def _status_of(command: Callable[[], int | None]) -> int:
    try:
        _require_directory()
        return command() or errors.OK
    except BaseException as error:  # noqa: BLE001 - Python's own status, 1, would call a kernel bad
        return _status_of_error(error)


def _require_directory() -> None:
    """Raise UsageError in a directory that somebody removed: no relative path means a file."""
    try:
        os.getcwd()  # noqa: PTH109 - pathlib asks the same
    except FileNotFoundError as error:
        raise UsageError("the current directory is gone", "cd to another") from error


def _status_of_error(error: BaseException) -> int:
    """Say what happened, in one line; return the exit status for it."""
    match error:
        case click.ClickException():
            say(_usage(error))
            status = UsageError.status
        case KeyboardInterrupt() | click.Abort():
            say("mte-harness: interrupted")
            status = errors.INTERRUPTED
        case SystemExit(code=int(code)):
            status = code
        case _ if trouble := host_trouble(error):
            status = _report(trouble)
        case _:
            status = _internal_error(error)
    return status


def _report(error: HarnessError) -> int:
    say(f"mte-harness: {error}")
    if error.details:
        say(error.details)
    return error.status


def _usage(error: click.ClickException) -> str:
    """Return click's own text for an error of usage: the usage line, then the error."""
    context = getattr(error, "ctx", None)
    usage = f"{context.get_usage()}\n\n" if context else ""
    return f"{usage}Error: {error.format_message()}"


def _internal_error(error: BaseException) -> int:
    """Write the traceback of an exception to a log, if one can be; return the exit status."""
    lines = traceback.format_exception(error)
    place = "its traceback could not be kept"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="mte-harness-", suffix=".log", delete=False
        ) as log:
            log.writelines(lines)
        place = f"traceback in {log.name}"
    except OSError as trouble:
        place = f"{place}: {trouble}"
    say(f"mte-harness: a bug in the harness: {lines[-1].strip()} ({place})")
    return errors.INTERNAL
