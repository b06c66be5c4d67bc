# SPDX-License-Identifier: MIT
"""The exit status of every command: a documented one, and a traceback only in a log."""

from __future__ import annotations

import sys
import tempfile
import traceback
from typing import TYPE_CHECKING, NoReturn

import click

from harness.core import errors
from harness.core.errors import HarnessError, UsageError
from harness.host.child import unwind_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Callable


def exit_with_status(command: Callable[[], int | None]) -> NoReturn:
    """Run ``command`` and exit with the status that it returns, or with that of its error."""
    unwind_on_sigterm()
    try:
        status = command() or errors.OK
    except HarnessError as error:
        click.echo(f"mte-harness: {error}", err=True)
        if error.details:
            click.echo(error.details, err=True)
        status = error.status
    except click.ClickException as error:
        error.show()
        status = UsageError.status
    except (KeyboardInterrupt, click.Abort):
        click.echo("mte-harness: interrupted", err=True)
        status = errors.INTERRUPTED
    except Exception:  # noqa: BLE001 - any other exception is a bug of ours
        status = _internal_error()
    sys.exit(status)


def _internal_error() -> int:
    """Write the traceback of the current exception to a log; return the exit status."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="mte-harness-", suffix=".log", delete=False
    ) as log:
        traceback.print_exc(file=log)
    cause = traceback.format_exc().splitlines()[-1]
    click.echo(f"mte-harness: a bug in the harness: {cause} (traceback in {log.name})", err=True)
    return errors.INTERNAL
