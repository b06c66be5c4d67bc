# SPDX-License-Identifier: MIT
"""``mte-harness test`` and ``lock``: work on a checkout of the harness itself."""

from __future__ import annotations

import subprocess

import click

from harness.core import errors
from harness.core.errors import SetupError
from harness.core.paths import checkout
from harness.host import own_tests
from harness.host.requirements_lock import write_lock


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test_command(arguments: tuple[str, ...]) -> int:
    """Run the project's own tests; ARGUMENTS go to pytest for the suite under QEMU."""
    return own_tests.run_steps(checkout("mte-harness test"), arguments)


@click.command("lock")
@click.option("--upgrade", is_flag=True, help="Take today's versions, not those locked.")
def lock_command(*, upgrade: bool) -> int:
    """Write requirements.lock from pyproject.toml."""
    try:
        write_lock(checkout("mte-harness lock"), upgrade=upgrade)
    except subprocess.CalledProcessError as error:
        raise SetupError(
            "requirements.lock could not be written", "see the message above", str(error)
        ) from error
    return errors.OK
