# SPDX-License-Identifier: MIT
"""A program to run in a guest: a probe, a file of the user's, or a shell line."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.core.cross import PROBE_FLAGS, compile_program
from harness.core.errors import UsageError
from harness.core.paths import resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.core.store import Store
    from harness.suite.head_comment import Probe

LIBRARY = resources() / "guest" / "lib"


@dataclass(frozen=True)
class PushedFile:
    """A file of this host that goes to the guest's ``/tmp`` under ``name``."""

    path: Path
    name: str
    mode: int = 0o755


@dataclass(frozen=True)
class Program:
    """A shell line that runs as root in the guest's ``/tmp``, once ``files`` are there.

    ``seconds`` is its time limit. ``speaks_ktap``: whether the verdict needs its KTAP results;
    None: if its output has a version line. ``allowed_skips`` and ``known_bug``: see ProgramEnd.
    """

    line: str
    seconds: float
    speaks_ktap: bool | None = None
    files: tuple[PushedFile, ...] = ()
    allowed_skips: Mapping[str, str] = field(default_factory=dict)
    known_bug: str = ""


def file_program(
    path: Path,
    programs: Store,
    arguments: Sequence[str] = (),
    *,
    seconds: float,
    speaks_ktap: bool | None = None,
    allowed_skips: Mapping[str, str] | None = None,
) -> Program:
    """Return the program of a ``.c`` file (compiled now), a ``.py`` file or a ready binary.

    Raises UsageError without such a file, and BuildError where it does not compile.
    """
    if not path.is_file():
        raise UsageError(f"no program {path}")
    if path.suffix == ".c":
        binary = compile_program(programs, [path], PROBE_FLAGS)
        command, files = f"./{shlex.quote(path.stem)}", [PushedFile(binary, path.stem)]
    else:
        command, files = f"./{shlex.quote(path.name)}", [PushedFile(path, path.name)]
    if path.suffix == ".py":
        command = f"python3 {command}"
        files += [PushedFile(item, item.name, 0o644) for item in sorted(LIBRARY.glob("*.py"))]
    return Program(
        " ".join([command, *map(shlex.quote, arguments)]),
        seconds,
        speaks_ktap,
        tuple(files),
        allowed_skips or {},
    )


def probe_program(probe: Probe, programs: Store) -> Program:
    """Return the program of a probe, with the time limit of its head comment."""
    return file_program(probe.path, programs, seconds=probe.timeout, speaks_ktap=True)
