# SPDX-License-Identifier: MIT
"""The directories that the harness works in: its data, its checkout, the cache."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from platformdirs import user_cache_dir

from harness.core.disk import disk_full, is_disk_full
from harness.core.errors import SetupError, UsageError

CACHE_VARIABLE = "MTE_HARNESS_CACHE"
_CACHE_CURE = f"set {CACHE_VARIABLE} to another directory"
_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel has the data here (pyproject.toml, tool.setuptools.package-dir); a checkout has not.
_PACKAGED = _PACKAGE / "_data"


def is_checkout() -> bool:
    """Return whether the harness runs from a checkout, editable installs included."""
    return not _PACKAGED.is_dir()


def resources() -> Path:
    """Return the directory that holds ``guest/``, ``kernel-configs/`` and ``tests/validation/``."""
    return _PACKAGE.parent if is_checkout() else _PACKAGED


def checkout(purpose: str) -> Path:
    """Return the directory of the checkout; SetupError if the harness is an installed wheel.

    ``purpose`` begins the error's sentence: "mte-harness test".
    """
    if not is_checkout():
        raise SetupError(
            f"{purpose} works on a checkout of mte-harness, and {_PACKAGE} is an installed copy",
            "clone the repository, and run scripts/mte-harness there",
        )
    return _PACKAGE.parent


def cache_root() -> Path:
    """Return the cache directory, resolved: ``$MTE_HARNESS_CACHE`` or ``~/.cache/mte-harness``.

    Raise UsageError for a user without a home directory, and for a path that kbuild (Makefile,
    "source directory cannot contain spaces or colons") or LD_PRELOAD (ld.so(8)) would cut up.
    """
    chosen = os.environ.get(CACHE_VARIABLE) or user_cache_dir("mte-harness")
    try:
        path = Path(chosen).expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise UsageError(f"the cache cannot be at {chosen}: {error}", _CACHE_CURE) from error
    if chosen.startswith("~"):
        raise UsageError("this user has no home directory", _CACHE_CURE)
    require_utf8(str(path))
    if odd := re.search(r"[\s:;,'\"$\\#]", str(path)):
        raise UsageError(f"the cache cannot be at {path}: {odd[0]!r} in its path", _CACHE_CURE)
    return path


def require_utf8(*words: str) -> None:
    """Raise UsageError for a word that is not UTF-8, as only the name of a file may be.

    pytest-xdist sends its command line and its directories to its workers as UTF-8.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{word!r} is not UTF-8", "give the file another name") from error


def make_cache(path: Path) -> None:
    """Make the cache directory, and find out whether it can be written. Raise UsageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path) from error
        raise UsageError(f"the cache cannot be at {path}: {error.strerror}", _CACHE_CURE) from error
