# SPDX-License-Identifier: MIT
"""checkpatch.pl --strict on each patch of a series, with exceptions for some of its messages.

``checkpatch.toml`` beside the recipe lists the exceptions, each with its reason:

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
# scripts/checkpatch.pl report(): with --showfile the line is one of the patched file.
_LINE = re.compile(r"^(?P<file>[^:]*):\d*:? ?(?:ERROR|WARNING|CHECK):(?P<type>\w+): (?P<text>.*)")
_SUMMARY = re.compile(r"^total: \d+ errors")


@dataclass
class Exceptions:
    """The messages, as (file pattern, type), that are allowed, and those that did occur."""

    allowed: list[tuple[str, str]] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)

    def allow(self, file: str, message_type: str) -> bool:
        """Return whether a message of this type is allowed in ``file``; record its use."""
        found = [
            item
            for item in self.allowed
            if item[1] == message_type and fnmatch.fnmatch(file, item[0])
        ]
        self.used.update(found)
        return bool(found)

    @property
    def unused(self) -> list[str]:
        """The exceptions that allowed no message: they can be removed."""
        return [
            f"{message_type} of {files}"
            for files, message_type in self.allowed
            if (files, message_type) not in self.used
        ]


def read_exceptions(path: Path) -> Exceptions:
    """Read the exceptions; a missing file has none. Raises RecipeError."""
    if not path.is_file():
        return Exceptions()
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("exception", [])
        found = Exceptions()
        for row in rows:
            if row.keys() != KEYS:
                raise RecipeError(f"{path}: an exception has exactly {', '.join(sorted(KEYS))}")
            found.allowed += [(row["files"], message_type) for message_type in row["types"]]
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: {error}", "correct the TOML") from error
    return found


def check_style(patch: Path, tree: Path, exceptions: Exceptions) -> list[str]:
    """Return the messages of the ``tree``'s checkpatch.pl that are no exception.

    Raises SourceError if checkpatch.pl fails or prints a line of another form.
    """
    done = subprocess.run(
        [
            "perl", "scripts/checkpatch.pl", "--strict", "--terse", "--showfile", "--show-types",
            "--no-summary", str(patch),
        ],
        cwd=tree,
        env=clean_environment(),
        capture_output=True,
        text=True, errors="replace",
        check=False,
    )  # fmt: skip
    messages = []
    for line in done.stdout.splitlines():
        if not line or _SUMMARY.match(line):
            continue
        found = _LINE.match(line)
        if found is None:
            raise SourceError("checkpatch.pl printed a line of unknown form", details=line)
        if not exceptions.allow(found["file"], found["type"]):
            messages.append(line)
    if not done.stdout and done.returncode:
        raise SourceError("checkpatch.pl did not run", details=done.stderr)
    return messages
