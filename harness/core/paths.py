# SPDX-License-Identifier: MIT
"""Where the repository and the cache are."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_dir

CACHE_VARIABLE = "MTE_HARNESS_CACHE"


def repository_root() -> Path:
    """Return the directory that holds ``kernel-configs/`` and ``guest/``.

    The package is installed in editable form (scripts/validate), so it lies in the repository.
    """
    return Path(__file__).resolve().parents[2]


def cache_root() -> Path:
    """Return the cache directory, resolved: ``$MTE_HARNESS_CACHE`` or ``~/.cache/mte-harness``."""
    chosen = os.environ.get(CACHE_VARIABLE) or user_cache_dir("mte-harness")
    return Path(chosen).expanduser().resolve()
