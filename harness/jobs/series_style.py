# SPDX-License-Identifier: MIT
"""The form of each patch: checkpatch.pl --strict, and the exceptions that the series takes.

Exceptions stand in ``checkpatch.toml`` beside the recipe, each with its reason:

    [[exception]]
    files = "include/trace/events/*.h"
    types = ["OPEN_ENDED_LINE"]
    why = "as all trace events are written"
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.core.errors import RecipeError, SourceError
from harness.core.toolchain import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

EXCEPTIONS = "checkpatch.toml"
KEYS = {"files", "types", "why"}
# scripts/checkpatch.pl report(): with --showfile the place is that in the file after the patch.
_LINE = re.compile(r"^(?P<file>[^:]*):\d*:? ?(?:ERROR|WARNING|CHECK):(?P<type>\w+): (?P<text>.*)")
_SUMMARY = re.compile(r"^total: \d+ errors")


@dataclass
class Exceptions:
    """What checkpatch.pl may say; ``used`` are those (files, type) that it did say."""

    allowed: list[tuple[str, str]] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)

    def allow(self, file: str, kind: str) -> bool:
        """Return whether checkpatch.pl may report ``kind`` for ``file``."""
        found = [
            item for item in self.allowed if item[1] == kind and fnmatch.fnmatch(file, item[0])
        ]
        self.used.update(found)
        return bool(found)

    @property
    def unused(self) -> list[str]:
        """Those that nothing needs any more."""
        return [
            f"{kind} of {files}" for files, kind in self.allowed if (files, kind) not in self.used
        ]


def read_exceptions(path: Path) -> Exceptions:
    """Return what the file allows; nothing if there is none. Raises RecipeError."""
    if not path.is_file():
        return Exceptions()
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("exception", [])
        found = Exceptions()
        for row in rows:
            if row.keys() != KEYS:
                raise RecipeError(f"{path}: an exception has exactly {', '.join(sorted(KEYS))}")
            found.allowed += [(row["files"], kind) for kind in row["types"]]
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: {error}", "correct the TOML") from error
    return found


def check_style(patch: Path, tree: Path, exceptions: Exceptions) -> list[str]:
    """Return what the ``tree``'s checkpatch.pl says of a patch, but for the exceptions."""
    done = subprocess.run(
        [
            "perl", "scripts/checkpatch.pl", "--strict", "--terse", "--showfile", "--show-types",
            "--no-summary", str(patch),
        ],
        cwd=tree,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    said = []
    for line in done.stdout.splitlines():
        if not line or _SUMMARY.match(line):
            continue
        found = _LINE.match(line)
        if found is None:
            raise SourceError("checkpatch.pl says what is not understood", details=line)
        if not exceptions.allow(found["file"], found["type"]):
            said.append(line)
    if not done.stdout and done.returncode:
        raise SourceError("checkpatch.pl did not run", details=done.stderr)
    return said
