# SPDX-License-Identifier: MIT
"""Finds kernel splats in a console log, each with its lines, call trace and fingerprint.

A splat is the kernel's report of a fault of its own: an oops, BUG, WARN, a report of lockdep or a
sanitizer, a stall, a panic. One fault makes one splat: the panic that follows from an oops is a
part of the oops. Out of memory is no fault, so its messages make no splat.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from harness.verdict import patterns
from harness.verdict.patterns import SplatKind

_STAMP = re.compile(r"(?:<\d+>)?\[\s*(?P<seconds>\d+\.\d{6})\](?:\[\s*[TC]\d+\])? ?")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SUFFIX = re.compile(r"\.(?:constprop|isra|part|cold|llvm|lto_priv)[.\w]*$")
_MAX_LINES = 400  # of one splat; a report has some 50, an RCU stall some 200
_MAX_GAP = 5.0  # seconds between two lines of one splat; they are printed in one burst
_FINGERPRINT_FRAMES = 5


@dataclass(frozen=True)
class Frame:
    """One line of a call trace: ``symbol+offset/size``, in bytes."""

    symbol: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.symbol}+{self.offset:#x}/{self.size:#x}"


@dataclass(frozen=True)
class Splat:
    """One report. ``lines`` are its lines without time stamps.

    ``seconds`` is the time of the first line since boot, None in a log without time stamps.
    ``pc``, ``cpu`` and ``task`` (``"comm/pid"``) are set if the report shows them; ``registers``
    are names and hexadecimal values as printed.
    """

    kind: SplatKind
    title: str
    lines: tuple[str, ...]
    frames: tuple[Frame, ...]
    seconds: float | None = None
    pc: Frame | None = None
    cpu: int | None = None
    task: str = ""
    registers: tuple[tuple[str, str], ...] = ()

    @property
    def culprits(self) -> tuple[Frame, ...]:
        """The frames that show where the fault is, innermost first, at most five.

        A return address at the very start of a function is that of a call which never returns, in
        the function before it (panic() of 6.12-rt is printed as trace_suspend_resume+0x0).
        """
        frames = self.frames or ((self.pc,) if self.pc else ())
        culprits = [
            frame
            for frame in frames
            if (frame.offset or frame == self.pc)
            and not patterns.GENERIC.fullmatch(_plain(frame.symbol))
        ]
        return tuple(culprits[:_FINGERPRINT_FRAMES])

    @property
    def fingerprint(self) -> str:
        """A text such as ``oops-1f0c…``, equal for one fault on other boots, builds or CPUs.

        It is made from the kind and the names of the culprits; without a call trace, from the
        title without its numbers.
        """
        words = [_plain(frame.symbol) for frame in self.culprits] or [_words(self.title)]
        digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
        return f"{self.kind.value}-{digest}"


def find_splats(console: str) -> tuple[Splat, ...]:
    """Return the splats of a console log, or of a part of one, in the order in which they began."""
    scanner = _Scanner()
    for seconds, text in _kernel_lines(console):
        scanner.line(seconds, text)
    scanner.close()
    return tuple(draft.splat() for draft in scanner.done)


def _kernel_lines(console: str) -> list[tuple[float | None, str]]:
    """Return the lines of printk(), each as time in seconds and text.

    In a log with time stamps, a line without one was printed by a program and is left out, so that
    a test may print "BUG:". A stamp may follow an unfinished line of a program. The continuation
    lines of a printk() have stamps too (kernel/printk/printk.c, info_print_prefix()).
    """
    lines = [_ANSI.sub("", line).rstrip("\r") for line in console.split("\n")]
    stamped: list[tuple[float | None, str]] = [
        (float(match["seconds"]), line[match.end() :])
        for line in lines
        if (match := _STAMP.search(line))
    ]
    return stamped if stamped else [(None, line) for line in lines]


def _plain(symbol: str) -> str:
    """Return ``symbol`` without the suffixes that the compiler adds."""
    return _SUFFIX.sub("", symbol)


def _words(title: str) -> str:
    """Return ``title`` without what differs between boots: numbers, offsets, addresses, names."""
    title = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+|, CPU#\d+: .*/\d+", "", title)
    title = re.sub(r"\b(?:0x)?[0-9a-f]{8,}\b|\b0x[0-9a-f]+\b|-?\d+", "N", title)
    return re.sub(r"(?<=in process )\S+|(?<=task )\S+", "X", title)


@dataclass
class _Draft:
    """A splat being read."""

    kind: SplatKind | None  # None until a line matched a trigger
    title: str
    seconds: float | None
    lines: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    traces: int = 0
    in_trace: bool = False
    cut: bool = False  # it began with "cut here", so it ends with "end trace"
    bordered: bool = False  # it began with a line of '='; those of KASAN and KFENCE end with one
    last: float | None = None

    def add(self, seconds: float | None, text: str) -> None:
        self.lines.append(text.rstrip())
        self.last = seconds
        if self.traces == 0 and patterns.CALL_TRACE.match(text):
            self.traces, self.in_trace = 1, True
        elif self.in_trace:
            if match := patterns.FRAME.match(text):
                self.frames.append(
                    Frame(match["symbol"], int(match["offset"], 16), int(match["size"], 16))
                )
            elif not patterns.BARE_FRAME.match(text):
                self.in_trace = False

    def splat(self) -> Splat:
        assert self.kind is not None
        pc = cpu = None
        task = ""
        registers: dict[str, str] = {}
        for line in self.lines:
            if pc is None and (match := patterns.PC.match(line)):
                where = patterns.FRAME.match(match["where"])
                if where:
                    pc = Frame(where["symbol"], int(where["offset"], 16), int(where["size"], 16))
            elif cpu is None and (match := patterns.CPU.match(line)):
                cpu, task = int(match["cpu"]), f"{match['task']}/{match['pid']}"
            elif not task and (match := patterns.TASK.match(line)):
                task = f"{match['task']}/{match['pid']}"
            elif re.match(r"x\d+ ?:|sp :|pstate:", line):
                for match in patterns.REGISTERS.finditer(line):
                    registers.setdefault(match["name"], match["value"])
        return Splat(
            kind=self.kind,
            title=self.title,
            lines=tuple(self.lines),
            frames=tuple(self.frames),
            seconds=self.seconds,
            pc=pc,
            cpu=cpu,
            task=task,
            registers=tuple(registers.items()),
        )


def _trigger(text: str) -> SplatKind | None:
    return next((kind for kind, pattern in patterns.TRIGGERS if pattern.match(text)), None)


class _Scanner:
    """Cuts a log into splats: takes one line at a time, and ``close()`` at the end."""

    def __init__(self) -> None:
        self.done: list[_Draft] = []
        self.draft: _Draft | None = None
        self.prelude: list[tuple[float | None, str]] = []
        self.asked_for = False  # a call trace that comes now was requested
        self.previous = ""  # the last line outside of a splat

    def line(self, seconds: float | None, text: str) -> None:
        kind = _trigger(text)
        if self.draft is not None:
            if self._belongs(self.draft, seconds, text, kind):
                self._inside(self.draft, seconds, text, kind)
                return
            self.close()
        self._outside(seconds, text, kind)

    def close(self) -> None:
        """End the splat being read, if any; it is dropped if no line of it matched a trigger."""
        if self.draft is not None and self.draft.kind is not None:
            self.done.append(self.draft)
        self.draft = None

    def _outside(self, seconds: float | None, text: str, kind: SplatKind | None) -> None:
        if kind is None and patterns.PRELUDE.match(text):
            self.prelude.append((seconds, text))
            return
        if kind is not None and self._consequence(seconds, text):
            self.draft = self.done.pop()
            self.draft.add(seconds, text)
        elif kind is not None or text == patterns.CUT_HERE:
            self._open(kind, text if kind else "", seconds, text)
        elif patterns.CALL_TRACE.match(text) and not self.asked_for:
            self.prelude.insert(0, (seconds, self.previous))
            self._open(SplatKind.TRACE, f"call trace after: {self.previous}", seconds, text)
        elif patterns.ASKED_FOR.match(text):
            self.asked_for = True
        elif not patterns.ANATOMY.match(text):
            self.asked_for = False
            self.previous = text.strip()
        self.prelude.clear()

    def _consequence(self, seconds: float | None, text: str) -> bool:
        """Return whether this panic follows from the last splat, within a second of it."""
        if not self.done or not patterns.CONSEQUENCE.match(text):
            return False
        last = self.done[-1].last
        return last is None or seconds is None or seconds - last < 1

    def _open(self, kind: SplatKind | None, title: str, seconds: float | None, text: str) -> None:
        self.draft = _Draft(kind, title.strip(), seconds, cut=text == patterns.CUT_HERE)
        for at, line in self.prelude:
            self.draft.bordered |= bool(patterns.BORDER.match(line))
            self.draft.add(at, line)
        self.draft.add(seconds, text)
        self.asked_for = False
        if patterns.ONE_LINE.match(text):
            self.close()

    def _belongs(
        self, draft: _Draft, seconds: float | None, text: str, kind: SplatKind | None
    ) -> bool:
        """Return whether a line belongs to the splat that is open."""
        gap = seconds - draft.last if seconds is not None and draft.last is not None else 0
        if not 0 <= gap <= _MAX_GAP or len(draft.lines) >= _MAX_LINES:
            return False  # the kernel has booted again, or gone on
        if text == patterns.CUT_HERE:
            return not (draft.cut or draft.traces)
        if kind is SplatKind.PANIC:
            return draft.kind is not SplatKind.PANIC
        if kind is not None and draft.kind is not None:
            # "Unable to handle kernel" and "Internal error"; "kernel BUG at" and "Internal
            # error"; a slab, list or refcount message and the "WARNING" or "kernel BUG".
            follow_up = text.startswith("Internal error: ") or patterns.PLACE.match(text)
            return not draft.traces and bool(follow_up)
        until_marker = draft.cut or not draft.traces or self._up_to_border(draft)
        return until_marker or bool(patterns.ANATOMY.match(text))

    def _inside(
        self, draft: _Draft, seconds: float | None, text: str, kind: SplatKind | None
    ) -> None:
        message = " ".join(line.strip() for line in draft.lines if line != patterns.CUT_HERE)
        if kind is not None and draft.kind is None:
            # The message of WARN() comes above the line "WARNING:" (kernel/panic.c,
            # __warn_printk()).
            draft.kind = kind
            draft.title = f"{text.strip()}: {message}" if message else text.strip()
        elif patterns.PLACE.match(text) and not draft.traces:
            draft.title = f"{draft.title} [{text.strip()}]"
        draft.cut |= text == patterns.CUT_HERE
        draft.add(seconds, text)
        at_border = self._up_to_border(draft) and patterns.BORDER.match(text)
        if patterns.END.match(text) or at_border:
            self.close()

    @staticmethod
    def _up_to_border(draft: _Draft) -> bool:
        """Return whether only a line of '=' ends the splat, as KASAN's and KFENCE's traces do."""
        return draft.bordered and draft.kind in {SplatKind.KASAN, SplatKind.KFENCE}
