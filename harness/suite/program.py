# SPDX-License-Identifier: MIT
"""A program to run in a guest: a probe, a file of the user's, or a shell line."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.core.cross import PAGE_SIZES, compile_program, probe_flags, user_flags
from harness.core.paths import resources
from harness.suite.program_kind import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.core.store import Store
    from harness.suite.head_comment import Probe

LIBRARY = resources() / "guest" / "lib"
PROBES = resources() / "guest"
# The shell line of a program that is to live for some seconds: it and its children are a process
# group, which is killed then. setpgid(2) by setsid(1); $! is the group's number.
_SURVIVES = (
    "rm -f .survived; setsid sh -c {line} & p=$!; "
    'setsid sh -c "sleep {seconds:g}; : > .survived; kill -KILL -$p" > /dev/null 2>&1 & w=$!; '
    "wait $p; s=$?; kill -KILL -$w 2> /dev/null; [ -e .survived ] && exit 0; exit $s"
)
GRACE = 30.0  # seconds for the end of a program that survived


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
    None: if its output has a version line. See ProgramEnd for ``allowed_skips``, ``known_bug``,
    ``fixed_later`` and ``left_out``.
    ``patience`` multiplies all time limits, those of its cases too. ``probe``: the name of a probe,
    which runs only its ``cases``, or all if there are none here.
    """

    line: str
    seconds: float
    speaks_ktap: bool | None = None
    files: tuple[PushedFile, ...] = ()
    allowed_skips: Mapping[str, str] = field(default_factory=dict)
    known_bug: str = ""
    fixed_later: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    patience: int = 1
    probe: str = ""
    cases: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """Return the shell line with the cases that it is to run."""
        return f"{self.line} {shlex.join(self.cases)}" if self.cases else self.line

    def without(self, left_out: Mapping[str, str], cases: Sequence[str]) -> Program:
        """Return the program of a probe that runs its other ``cases``; ``left_out`` says why."""
        rest = tuple(case for case in cases if case not in left_out)
        assert rest, f"{self.probe} leaves out all of its cases: since: is for that"
        return dataclasses.replace(self, cases=rest, left_out=left_out)

    def again(self, cases: Sequence[str], patience: int) -> Program:
        """Return the program that runs these cases alone, with more patience.

        Another program than a probe runs all its cases again, as does a probe without ``cases``.
        """
        again = tuple(cases) if self.probe and cases else self.cases
        return dataclasses.replace(self, cases=again, patience=patience)


def file_program(
    path: Path,
    programs: Store,
    arguments: Sequence[str] = (),
    *,
    page_size: int,
    seconds: float,
    survives: bool = False,
    speaks_ktap: bool | None = None,
    allowed_skips: Mapping[str, str] | None = None,
) -> Program:
    """Return the program of a C file (compiled now), a script or an arm64 binary.

    ``page_size``: of the kernel that C is compiled for, in bytes.
    ``survives``: a program that still runs after ``seconds`` is ended, and that is its success.
    Raises ProgramError for a file that the guest cannot run, or that does not compile.
    """
    path = path.absolute()  # a probe of ours is known by its place
    kind = kind_of(path)
    if kind.kind is Kind.C:
        flags = probe_flags if path.is_relative_to(PROBES) else user_flags
        binary = compile_program(programs, [path], flags(page_size))
        files = [PushedFile(binary, path.stem)]
    else:
        files = [PushedFile(path, path.name)]
    if kind.is_python:
        files += [PushedFile(item, item.name, 0o644) for item in sorted(LIBRARY.glob("*.py"))]
    line = shlex.join([*kind.interpreter, f"./{files[0].name}", *arguments])
    if survives:
        line, seconds = survivor(line, seconds), seconds + GRACE
    return Program(
        line,
        seconds,
        speaks_ktap,
        tuple(files),
        allowed_skips or {},
    )


def survivor(line: str, seconds: float) -> str:
    """Return the shell line that ends ``line`` after ``seconds``, which is its success."""
    return _SURVIVES.format(line=shlex.quote(line), seconds=seconds)


def page_size_skips(page_size: int) -> dict[str, str]:
    """Return what explains that single cases skip themselves, as ``allowed_skips``.

    They do so with PAGES_UP_TO() of guest/include/mte.h. No case may on pages of 4 KiB.
    """
    if page_size == PAGE_SIZES[0]:
        return {}
    kib = page_size >> 10
    return {f"the kernel has pages of {kib} KiB": f"^pages of {kib} KiB: "}


def probe_program(probe: Probe, programs: Store, page_size: int) -> Program:
    """Return the program of a probe, with the time limit of its head comment.

    ``page_size``: of the kernel that it is for, in bytes.
    """
    program = file_program(
        probe.path,
        programs,
        page_size=page_size,
        seconds=probe.timeout,
        speaks_ktap=True,
        allowed_skips=page_size_skips(page_size),
    )
    return dataclasses.replace(program, probe=probe.name)
