# SPDX-License-Identifier: MIT
"""Makes the virtual environment ``.venv`` from requirements.lock.

Standard library only: it runs before that environment exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import HarnessError, NetworkError, SetupError
from harness.host.child import Finished, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.core.progress import Progress

STAMP = "mte-harness.stamp"
# A user's pip.conf or PIP_USER must not send packages out of the environment.
ENVIRONMENT = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

NO_NETWORK = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Connection refused",
    "ProxyError",
    "SSLError",
    "Temporary failure in name resolution",
)


def stamp(root: Path) -> str:
    """Return the hash of what the environment is made from.

    That is requirements.lock, pyproject.toml, Python's version, and the path of the environment:
    the programs in ``bin`` begin with the path of their interpreter.
    """
    seen = hashlib.sha256(f"{sys.version_info[:2]} {root}".encode())
    for name in ("requirements.lock", "pyproject.toml"):
        seen.update((root / name).read_bytes())
    return seen.hexdigest()


def is_current(root: Path) -> bool:
    """Return whether ``root/.venv`` is complete, and made from the present files of ``root``."""
    try:
        return (root / ".venv" / STAMP).read_text() == stamp(root)
    except FileNotFoundError:
        return False


def ensure(root: Path, progress: Progress) -> None:
    """Make ``root/.venv`` unless it is current.

    If that fails, the old environment is put back. Raise NetworkError, DiskFullError, or
    SetupError with the last lines of pip's output.
    """
    if is_current(root):
        return
    with _locked(root):
        if is_current(root):  # another run made it while this one waited for the lock
            return
        venv, old = root / ".venv", root / ".venv.old"
        if old.exists():  # a killed run had put the complete environment aside
            shutil.rmtree(venv, ignore_errors=True)
            old.rename(venv)
        if venv.exists():
            venv.rename(old)
        try:
            _make(root, venv, progress)
        except BaseException:
            shutil.rmtree(venv, ignore_errors=True)
            if old.exists():
                old.rename(venv)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _make(root: Path, venv: Path, progress: Progress) -> None:
    progress.step(f"making {venv}")
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet"]
    for argv in (
        [sys.executable, "-m", "venv", str(venv)],
        # Wheels only: a source distribution would run code that no hash covers
        # (its build requirements), and might ask for a compiler.
        [
            *pip,
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--requirement",
            str(root / "requirements.lock"),
        ],
        [*pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(root)],
    ):
        result = run(argv, ENVIRONMENT)
        if result.status:
            raise _failure(result, argv)
    (venv / STAMP).write_text(stamp(root))


def _failure(result: Finished, argv: list[str]) -> HarnessError:
    errors = [line for line in result.output.splitlines() if line.startswith("ERROR:")]
    first = errors[0].removeprefix("ERROR:").strip() if errors else f"status {result.status}"
    if reports_disk_full(result.output):
        return disk_full(".venv could not be made", first)
    if any(word in result.output for word in NO_NETWORK):
        return NetworkError(
            f"the Python registry does not answer: {first}",
            "check the network and pip's proxy settings, then run this again",
        )
    command = " ".join(argv)
    return SetupError(
        f".venv could not be made: {first}", f"see the output of {command}", result.tail()
    )


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold a lock on the directory ``root`` itself, which needs no lock file."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)
