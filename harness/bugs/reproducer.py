# SPDX-License-Identifier: MIT
"""A program of a bug report, and how it is run: again and again, in several processes, for a time.

Such a program seldom ends by itself with a status that says whether the bug showed. What it is to
do in one run is said beside it; one run is one fresh clone of the guest.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.core.keys import file_digest, key_of
from harness.suite.program import GRACE, Program, file_program, survivor

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.store import Store

# N processes at once; the status and the output are those of the first that failed. Each repeats
# the program until it fails, and prints what the last time did: several KTAP documents, one after
# the other or mixed, are none. A signal to the group ends them all: they are children of one
# setsid(1).
_PROCESSES = (
    "i=0; p=; while [ $i -lt {processes} ]; do "
    '({line}) > .process.$i & p="$p $!"; i=$((i+1)); done; '
    "s=0; i=0; f=0; for q in $p; do "
    "wait $q; t=$?; [ $s -ne 0 ] || {{ s=$t; f=$i; }}; i=$((i+1)); done; "
    "cat .process.$f; exit $s"
)
_REPEAT = (
    "r=0; while [ $r -lt {repeat} ]; do "
    "{line} > .time.$i; s=$?; [ $s -eq 0 ] || break; r=$((r+1)); done; "
    "cat .time.$i; exit $s"
)


@dataclass(frozen=True)
class Reproducer:
    """A program file and its ``arguments``.

    ``seconds``: its time limit. ``lives``: it is ended after so many seconds, which is no failure;
    0 for a program that ends by itself. ``repeat``: how often it runs one after the other,
    ``processes``: how many at once. ``console``: a regular expression; only a match in what the
    kernel printed meanwhile shows the bug. ``prelude``: a shell line before it.
    """

    path: Path
    arguments: tuple[str, ...] = ()
    seconds: float = 600.0
    lives: float = 0.0
    repeat: int = 1
    processes: int = 1
    console: str = ""
    prelude: str = ""

    def check(self, programs: Store, page_size: int) -> None:
        """Raise ProgramError if it does not compile, UsageError for a bad expression."""
        try:
            re.compile(self.console)
        except re.error as error:
            raise UsageError(f"--console {self.console!r} is no regular expression: {error}") from (
                error
            )
        self.program(programs, page_size)

    def identity(self) -> str:
        """Return a key that changes with the program or with how it is run."""
        fields = dataclasses.asdict(self)
        return key_of({**fields, "path": file_digest(self.path)})

    def program(self, programs: Store, page_size: int) -> Program:
        """Return the program for a kernel with such pages (bytes), compiled now."""
        program = file_program(
            self.path, programs, self.arguments, page_size=page_size, seconds=self.seconds
        )
        line, seconds = program.line, self.seconds
        if self.repeat > 1:
            line = _REPEAT.format(line=line, repeat=self.repeat)
        if self.processes > 1:
            line = _PROCESSES.format(line=line, processes=self.processes)
        if self.lives:
            line, seconds = survivor(line, self.lives), self.lives + GRACE
        if self.prelude:
            line = f"{self.prelude}; {line}"
        return dataclasses.replace(program, line=line, seconds=seconds)
