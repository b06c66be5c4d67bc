# SPDX-License-Identifier: MIT
"""The virtual environment in ``.venv``, made from requirements.lock.

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

from harness.core.errors import DiskFullError, HarnessError, NetworkError, SetupError
from harness.host.child import Finished, Lines, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    """What the environment is made from: lock, metadata, Python and its own place.

    Its place, because the programs in ``bin`` start with their interpreter's path.
    """
    seen = hashlib.sha256(f"{sys.version_info[:2]} {root}".encode())
    for name in ("requirements.lock", "pyproject.toml"):
        seen.update((root / name).read_bytes())
    return seen.hexdigest()


def is_current(root: Path) -> bool:
    """Whether ``root/.venv`` was finished, and from what is in ``root`` now."""
    try:
        return (root / ".venv" / STAMP).read_text() == stamp(root)
    except FileNotFoundError:
        return False


def ensure(root: Path, progress: Lines) -> None:
    """Make ``root/.venv`` unless it is current.

    If it fails, the environment that was there before is put back. Raises
    NetworkError, DiskFullError, or SetupError with pip's last words.
    """
    if is_current(root):
        return
    with _locked(root):
        if is_current(root):  # another run made it while we waited
            return
        venv, old = root / ".venv", root / ".venv.old"
        if old.exists():  # a run was killed: what it had put aside is the whole one
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


def _make(root: Path, venv: Path, progress: Lines) -> None:
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
    progress.done()


def _failure(result: Finished, argv: list[str]) -> HarnessError:
    errors = [line for line in result.output.splitlines() if line.startswith("ERROR:")]
    first = errors[0].removeprefix("ERROR:").strip() if errors else f"status {result.status}"
    if "No space left on device" in result.output:
        return DiskFullError("the disk is full: .venv could not be made", "free some room", first)
    if any(word in result.output for word in NO_NETWORK):
        return NetworkError(
            f"the Python registry does not answer: {first}",
            "check the network and pip's proxy settings, then run this again",
        )
    command = " ".join(argv)
    return SetupError(
        f".venv could not be made: {first}", f"see what {command} says", result.tail()
    )


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold a lock on the clone's directory itself, which leaves no file behind."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)
