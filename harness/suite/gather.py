# SPDX-License-Identifier: MIT
"""Runs a program in a guest and gathers the evidence: the one way in which programs are run."""

from __future__ import annotations

import functools
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core import ktap
from harness.core.cross import PAGE_SIZES
from harness.core.errors import AuditError, GuestLostError, HarnessError
from harness.guest.guest import Guest
from harness.guest.ssh import SilentError, SshError
from harness.verdict import counters
from harness.verdict.audit import audit, learn
from harness.verdict.auditable import unauditable
from harness.verdict.decode import Symbolizer
from harness.verdict.evidence import Evidence, Lost, ProgramEnd
from harness.verdict.grown import grown_slabs, parse_slabs, processes
from harness.verdict.judge import judge
from harness.verdict.result import CounterSample, ProbeResult
from harness.verdict.splat import Splat, find_splats
from harness.vm.cpu_share import CpuWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from harness.guest.ssh import Completed
    from harness.guest.system import System
    from harness.kernel import Kernel
    from harness.suite.head_comment import CaseChange, Probe
    from harness.suite.program import Program, PushedFile
    from harness.verdict.finding import Finding

_READ_FILES = ("/proc/meminfo", "/proc/vmstat", "/proc/zoneinfo", "/proc/sys/kernel/tainted")
# One process, and not one for each file: under TCG each fork and exec is milliseconds.
_READ = f"tail -n +1 {' '.join(_READ_FILES)}"
_HEAD = re.compile(r"^==> (\S+) <==\n", re.MULTILINE)  # before each file, as tail(1) prints it
# What holds memory before and after a program, for a failure to name it. Without SLUB_DEBUG the
# kernel has no /proc/slabinfo (mm/slab_common.c).
_SLABS = ("/run/slabinfo", "/proc/slabinfo")
_NOTE_SLABS = f"[ ! -r {_SLABS[1]} ] || cat {_SLABS[1]} > {_SLABS[0]}"
_HOLDERS = (
    f"tail -n +1 {' '.join(_SLABS)} 2>/dev/null; echo '==> status <=='; "
    "grep -H '^Name:\\|^Threads:\\|^RssAnon:' /proc/[0-9]*/status 2>/dev/null"
)


@dataclass(frozen=True)
class Snapshot:
    """Counters and taint bits at one moment; ``seconds`` after the clone was there."""

    counters: counters.Counters
    taint: int
    seconds: float

    def sample(self) -> CounterSample:
        """Return the counters as the report keeps them."""
        return CounterSample(self.seconds, {**self.counters.meminfo, **self.counters.vmstat})


class _Clock:
    """The phases of one run: wall seconds by name, in order."""

    def __init__(self, clone_seconds: float) -> None:
        self.phases = {"clone": clone_seconds}
        self._started = self._last = time.monotonic()

    def phase(self, name: str) -> None:
        """End a phase; the next one begins."""
        now = time.monotonic()
        self.phases[name] = now - self._last
        self._last = now

    def seconds(self) -> float:
        """Return the seconds since the first phase began."""
        return time.monotonic() - self._started


def _snapshot(
    guest: System,
    clock: _Clock,
    before: str,
    files: Sequence[PushedFile] = (),
) -> Snapshot:
    """Run the shell line ``before``, read counters and taint, then write ``files``."""
    pushes = [guest.push_line(file.path, f"./{file.name}", mode=file.mode) for file in files]
    line = "; ".join([before, _READ, " && ".join(pushes) or "true"])
    phase = "reading the kernel's counters"
    done = guest.exec(line, timeout=guest.limits.counters, phase=phase)
    _, *pieces = _HEAD.split(done.stdout)
    parts = dict(zip(pieces[::2], pieces[1::2], strict=True))
    try:
        meminfo, vmstat, zoneinfo, tainted = (parts[path] for path in _READ_FILES)
        page_kb = guest.template.kernel.page_size >> 10
        found = counters.parse(meminfo, vmstat, zoneinfo, page_kb=page_kb)
        snapshot = Snapshot(found, int(tainted), clock.seconds())
    except (KeyError, ValueError) as error:
        kind = SilentError if done.status is None else SshError
        why = kind(f"/proc cannot be read: {done.stdout[-200:]}{done.stderr}")
        raise guest.lost(why, phase) from error
    if files and done.status != 0:
        names = ", ".join(file.name for file in files)
        raise HarnessError(f"cannot write {names} in the guest: {done.stderr.strip()}")
    return snapshot


def _settled(guest: System, before: counters.Counters, clock: _Clock) -> Snapshot:
    """Return the counters once all memory is back, or the last of LOOKS snapshots.

    Free pages that move from a CPU's list to the zone's between the reads of meminfo and
    zoneinfo are in neither (mm/vmstat.c, refresh_cpu_vm_stats(), once a second). A real leak
    is still there in the next snapshot.
    """
    first, *further = counters.LOOKS
    after = _snapshot(guest, clock, guest.tidy + first)
    for line in further:
        if not counters.returned(before, after.counters):
            break
        after = _snapshot(guest, clock, guest.tidy + line)
    return after


def _what_grew(guest: System) -> tuple[str, ...]:
    """Return lines that name what may hold the memory that was not given back."""
    done = guest.exec(_HOLDERS, timeout=guest.limits.counters, phase="reading what holds memory")
    _, *pieces = _HEAD.split(done.stdout)
    parts = dict(zip(pieces[::2], pieces[1::2], strict=True))
    page_kb = guest.template.kernel.page_size >> 10
    before, after = (parse_slabs(parts.get(path, ""), page_kb) for path in _SLABS)
    return (*grown_slabs(before, after), *processes(parts.get("status", "")))


def _learned(guest: Guest) -> str:
    """Prime the auditor's facts about this kernel. Return "" or why it cannot audit."""
    try:
        learn(guest)
    except AuditError as error:
        return error.cause
    return ""


def _audited(guest: Guest) -> tuple[tuple[Finding, ...], str]:
    """Return the auditor's findings, and why it could not look ("" if it could)."""
    try:
        return audit(guest).findings, ""
    except AuditError as error:
        return (), error.cause


class _Gathering:
    """One run of one program: what was seen of it so far, whatever ends it."""

    def __init__(self, guest: System, program: Program) -> None:
        self._guest = guest
        self._program = program
        self._clock = _Clock(guest.clone_seconds)
        self._before: Snapshot | None = None
        self._after: Snapshot | None = None
        self._done: Completed | None = None
        self._waited = self._had = 0.0
        self._findings: tuple[Finding, ...] = ()
        self._unaudited = ""
        self._grown: tuple[str, ...] = ()

    def run(self, stream: Callable[[str, bytes], None] | None) -> None:
        """Run the program between two snapshots. GuestLostError leaves what was seen so far."""
        guest, program, clock = self._guest, self._program, self._clock
        auditable = isinstance(guest, Guest) and not unauditable(guest.template)
        if isinstance(guest, Guest) and auditable:
            self._unaudited = _learned(guest)
        note = f"{_NOTE_SLABS}; {counters.REFRESH}"
        self._before = _snapshot(guest, clock, note, program.files)
        clock.phase("before")
        slow = guest.template.slowness * program.patience
        # KTAP_SLOW scales the time limit of each case (guest/include/ktap.h).
        line = f"export KTAP_SLOW={slow}; {program.command}" if slow > 1 else program.command
        watch = CpuWatch(guest.cpu_times)
        phase = f"running: {program.command[:100]}"
        seconds = program.seconds * slow
        self._done = guest.exec(line, timeout=seconds, phase=phase, stream=stream)
        clock.phase("run")
        self._had, self._waited = watch.busiest().ran, watch.waited()
        # A program that never ends is part of the evidence; its counters would prove nothing.
        if self._done.status is not None:
            self._after = _settled(guest, self._before.counters, clock)
            clock.phase("after")
            if counters.returned(self._before.counters, self._after.counters):
                self._grown = _what_grew(guest)
            if isinstance(guest, Guest) and auditable and not self._unaudited:
                self._findings, self._unaudited = _audited(guest)
                clock.phase("audit")

    def evidence(self, lost: Lost | None) -> Evidence:
        """Return what was seen, with the console and its splats."""
        console = self._guest.console.text()
        return Evidence(
            program=self._end(),
            lost=lost,
            splats=decoded_splats(console, self._guest.template.kernel.vmlinux),
            phases=self._clock.phases,
            console=console,
            note=self._guest.note,
        )

    def _end(self) -> ProgramEnd:
        program, done = self._program, self._done
        before, after = self._before, self._after
        stdout, stderr = (done.stdout, done.stderr) if done else ("", "")
        limit = program.seconds * self._guest.template.slowness * program.patience
        taint_after = after.taint if after else (before.taint if before and done else None)
        returned = counters.returned(before.counters, after.counters) if before and after else ()
        speaks_ktap = program.speaks_ktap
        if speaks_ktap is None:
            speaks_ktap = ktap.has_version_line(stdout)
        return ProgramEnd(
            exit_status=done.status if done else None,
            document=ktap.parse(stdout) if speaks_ktap else None,
            seconds=limit,
            overflow=bool(done and done.overflow),
            taint_before=before.taint if before else 0,
            taint_after=taint_after,
            problems=returned,
            grown=self._grown,
            samples=tuple(_samples(before, after)),
            findings=self._findings,
            unaudited=self._unaudited,
            allowed_skips=program.allowed_skips,
            known_bug=program.known_bug,
            fixed_later=program.fixed_later,
            left_out=program.left_out,
            waited=self._waited,
            had=self._had,
            patience=program.patience,
            stdout=stdout,
            stderr=stderr,
        )


def _samples(*snapshots: Snapshot | None) -> Iterator[CounterSample]:
    for snapshot in snapshots:
        if snapshot:
            yield snapshot.sample()


def gather(
    guest: System, program: Program, *, stream: Callable[[str, bytes], None] | None = None
) -> Evidence:
    """Run ``program`` in ``guest`` and return the evidence. A lost guest is evidence, too.

    ``stream`` gets the output as it comes: "stdout" or "stderr", and bytes. What the program
    leaves in ``/tmp`` is removed before the counters are read again. Raises HarnessError only
    for trouble of the host.
    """
    gathering = _Gathering(guest, program)
    try:
        gathering.run(stream)
    except GuestLostError as error:
        return gathering.evidence(Lost(error.cause, error.details))
    return gathering.evidence(None)


def run_program(
    guest: System, program: Program, *, stream: Callable[[str, bytes], None] | None = None
) -> ProbeResult:
    """Run ``program`` in ``guest`` and judge it; arguments and errors as of gather()."""
    return judge(gather(guest, program, stream=stream))


@functools.cache
def _symbolizer(vmlinux: Path) -> Symbolizer:
    return Symbolizer(vmlinux)


def decoded_splats(console: str, vmlinux: Path | None) -> tuple[Splat, ...]:
    """Return the splats of a console text, with file and line where there is a vmlinux."""
    splats = find_splats(console)
    if not splats or vmlinux is None:
        return splats
    return tuple(_symbolizer(vmlinux).annotate(splat) for splat in splats)


def later(changes: Iterable[CaseChange], kernel: Kernel) -> dict[str, str]:
    """Return the cases whose change the release of ``kernel`` lacks, each with that change.

    It is empty where the release is not known.
    """
    try:
        lacking = [one for one in changes if not one.change.is_in(kernel.release)]
    except ValueError:
        return {}
    return {case: str(one.change) for one in lacking for case in one.cases}


def left_out(probe: Probe, kernel: Kernel) -> dict[str, str]:
    """Return the cases that are not for ``kernel``, each with the reason."""
    lacking = {
        case: f"the kernel has no {need.symbol}"
        for need in probe.case_needs
        if kernel.built_with(need.symbol) is False
        for case in need.cases
    }
    older = later(probe.newer, kernel)
    return {**lacking, **{case: f"the kernel is older than {older[case]}" for case in older}}


def why_not(probe: Probe, kernel: Kernel) -> str:
    """Return why ``probe`` is not for ``kernel``; ``""`` if it is, or if that is not known."""
    missing = [symbol for symbol in probe.needs if kernel.built_with(symbol) is False]
    if missing:
        return f"kernel {kernel.name} has no {' '.join(missing)}"
    if len(probe.pages) < len(PAGE_SIZES) and kernel.page_size not in probe.pages:
        fits = " or ".join(f"{size >> 10}" for size in probe.pages)
        return (
            f"kernel {kernel.name} has pages of {kernel.page_size >> 10} KiB, and what the probe "
            f"needs of memory or of folio sizes is there with {fits} KiB"
        )
    try:
        if probe.since and not probe.since.is_in(kernel.release):
            return f"kernel {kernel.release} is older than {probe.since}"
        if probe.until and probe.until.is_in(kernel.release):
            return f"kernel {kernel.release} has {probe.until}"
    except ValueError:
        return ""
    return ""
