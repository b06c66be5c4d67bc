# SPDX-License-Identifier: MIT
"""The kernels between two patches: a recipe of the first N patches of a series."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.kernel.config import merge_fragments
from harness.kernel.patches import listed
from harness.kernel.recipe import FILE

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel import Kernel
    from harness.kernel.recipe import Recipe

BUILD_LOG = "build.log"
_WARNING = re.compile(r"\bwarning: |^WARNING: modpost")
# Line numbers move with every patch above them.
_PLACE = re.compile(r":\d+(?::\d+)?:")


def series_files(recipe: Recipe) -> list[Path]:
    """Return the files of the recipe's own patches, in order. Raises UsageError."""
    own = recipe.own_patches
    if own is None or own.name != "series":
        raise UsageError(f"{recipe.name} has no series of its own", "name one that has")
    return listed(own)


def write_prefix(recipe: Recipe, parent: Recipe, count: int, into: Path) -> Path:
    """Write a recipe of the first ``count`` patches of ``recipe``; return its directory.

    It inherits ``parent``, as ``recipe`` does. Its config options are optional, because a later
    patch may be the one that adds them.
    """
    files = series_files(recipe)
    place = into / f"{recipe.name.replace('/', '-')}-{count:02}"
    place.mkdir()
    (place / "series").write_text("".join(f"{file}\n" for file in files[:count]))
    own = [path for path in recipe.fragments if path not in parent.fragments]
    values = {
        "description": f"the first {count} of {len(files)} patches of {recipe.name}",
        "inherits": parent.name,
        "fragments": [str(path) for path in own],
        "optional": [f"CONFIG_{symbol}" for symbol in merge_fragments(own)],
        "patches": "series",
    }
    if recipe.machine:
        values["machine"] = recipe.machine
    # A string or a list of strings in JSON is valid TOML.
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    (place / FILE).write_text(text)
    return place


def warnings(kernel: Kernel) -> set[str]:
    """Return the warnings of the compiler and kbuild in the build log, without line numbers."""
    log = (kernel.directory / BUILD_LOG).read_text(encoding="utf-8", errors="replace")
    return {_PLACE.sub(":", line) for line in log.splitlines() if _WARNING.search(line)}
