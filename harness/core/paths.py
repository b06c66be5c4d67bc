# SPDX-License-Identifier: MIT
"""The directories that the harness works in: its data, its checkout, the cache."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_dir

from harness.core.errors import SetupError

CACHE_VARIABLE = "MTE_HARNESS_CACHE"
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
    """Return the cache directory, resolved: ``$MTE_HARNESS_CACHE`` or ``~/.cache/mte-harness``."""
    chosen = os.environ.get(CACHE_VARIABLE) or user_cache_dir("mte-harness")
    return Path(chosen).expanduser().resolve()
