# SPDX-License-Identifier: MIT
"""The steps that the guest's interpreter runs, and the file that brings them to it.

Numbers and layout are those of guest/explore/interpreter/steps.h. All memory of a sequence has
fixed addresses, so that a step is complete in itself, and a C program can be printed from it.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCRIPT = 0x10_0000_0000
MAGIC = 0x3145544D45545458
ACTORS = 8
FIRST_FD = 100
UNKNOWN = -1  # a tag or data byte that is not looked at

_HEADER = struct.Struct("<8Q")
_STEP = struct.Struct("<BBBBIq6qq")
_SEQUENCE = struct.Struct("<4I")
_RUN = struct.Struct("<HhhH")
_MOST = 0xFFFF  # granules of a run


class Code(enum.IntEnum):
    """What a step does: enum step_code."""

    CALL = 1
    TAGS = 2
    FILL = 3
    LOAD = 4
    STORE = 5
    CHECK = 6
    FORK = 7
    THREAD = 8
    EXIT = 9
    FILE = 10
    MEMFD = 11
    READ = 12
    WRITE = 13
    PEER_READ = 14
    PEER_WRITE = 15
    PEEK_TAGS = 16
    POKE_TAGS = 17
    SLEEP = 18
    PATTERN = 19
    SPLIT = 20
    SHELL = 21
    UFFD_COPY = 22
    UFFD_ZERO = 23
    UFFD_PROTECT = 24
    UFFD_MOVE = 25


class TagStore(enum.IntEnum):
    """The instructions that store tags: enum tag_store."""

    STG = 0
    ST2G = 1
    STZG = 2
    GVA = 3
    GZVA = 4


class Want(enum.IntEnum):
    """What a result must be: enum step_want."""

    EXACT = 0
    ANY = 1
    FAULT = 2


class Change(enum.IntFlag):
    """What a sequence changes in the whole guest, to be set back after it."""

    NOTHING = 0
    SWAP = 1
    SETTINGS = 2


@dataclass(frozen=True)
class Run:
    """``granules`` in a row with one tag and one data byte, each UNKNOWN if it may be anything."""

    granules: int
    tag: int
    byte: int


@dataclass(frozen=True)
class Step:
    """One step of an actor.

    ``args`` are integers; a str is the address of that text, a tuple of runs that of these runs.
    ``number`` is a system call's. ``name`` is what it is called in C.
    """

    code: Code
    actor: int
    args: tuple[int | str | tuple[Run, ...], ...] = ()
    want: int = 0
    how: Want = Want.EXACT
    number: int = 0
    name: str = ""
    changes: Change = Change.NOTHING
    operation: int = 0


@dataclass
class Script:
    """Sequences of steps, to be written as one file."""

    blob: bytearray = field(default_factory=bytearray)
    _places: dict[bytes, int] = field(default_factory=dict)
    _steps: list[bytes] = field(default_factory=list)
    _sequences: list[bytes] = field(default_factory=list)

    def add(self, steps: Sequence[Step], seconds: int) -> None:
        """Add a sequence that has so many seconds to end."""
        changes = Change.NOTHING
        first = len(self._steps)
        for step in steps:
            changes |= step.changes
            self._steps.append(self._packed(step))
        self._sequences.append(_SEQUENCE.pack(first, len(steps), changes, seconds))

    def _packed(self, step: Step) -> bytes:
        args: list[int] = []
        for arg in step.args:
            if isinstance(arg, str):
                args.append(self._place(arg.encode() + b"\0"))
            elif isinstance(arg, tuple):
                runs = list(_split(arg))
                args += [self._place(b"".join(runs)), len(runs)]
            else:
                args.append(arg)
        args += [0] * (6 - len(args))
        return _STEP.pack(
            *(step.code, step.actor, step.how, 0, step.operation, step.number),
            *map(_signed, args),
            step.want,
        )

    def _place(self, data: bytes) -> int:
        if data not in self._places:
            self._places[data] = SCRIPT + _HEADER.size + len(self.blob)
            self.blob += data + bytes(-len(data) % 8)
        return self._places[data]

    def bytes(self) -> bytes:
        """Return the file."""
        steps_at = _HEADER.size + len(self.blob)
        table_at = steps_at + _STEP.size * len(self._steps)
        whole = table_at + _SEQUENCE.size * len(self._sequences)
        header = _HEADER.pack(MAGIC, whole, len(self._sequences), table_at, steps_at, 0, 0, 0)
        return b"".join([header, self.blob, *self._steps, *self._sequences])


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 > 0 else value


def _split(runs: Iterable[Run]) -> Iterable[bytes]:
    for run in runs:
        left = run.granules
        while left:
            part = min(left, _MOST)
            yield _RUN.pack(part, run.tag, run.byte, 0)
            left -= part
