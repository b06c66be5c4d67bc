# SPDX-License-Identifier: MIT
"""Runs a program in a guest, and gathers all that the verdict needs."""

from __future__ import annotations

import functools
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core import ktap
from harness.core.cross import PROBE_FLAGS, compile_program
from harness.core.errors import AuditError, GuestLostError, UsageError
from harness.core.paths import repository_root
from harness.verdict import counters
from harness.verdict.audit import audit, learn
from harness.verdict.auditable import unauditable
from harness.verdict.decode import Symbolizer
from harness.verdict.judge import Evidence, Lost, Verdict, judge
from harness.verdict.splat import Splat, find_splats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.core.store import Store
    from harness.guest.guest import Guest
    from harness.kernel import Kernel
    from harness.suite.head_comment import Probe

LIBRARY = repository_root() / "guest" / "lib"
LOOKS = 3
_MARK = "=== mte-harness "
_READ = (
    f"echo '{_MARK}meminfo'; cat /proc/meminfo; echo '{_MARK}vmstat'; cat /proc/vmstat; "
    f"echo '{_MARK}zoneinfo'; cat /proc/zoneinfo; "
    f"echo '{_MARK}tainted'; cat /proc/sys/kernel/tainted"
)
# What a probe may leave behind by design: swap areas, zram, files, settings. The rest
# must come back by itself. swapoff brings back what the page tables still want, so
# that pages of processes that have ended must be gone by then.
_TIDY = (
    "swapoff -a 2>/dev/null; for z in /sys/block/zram*/reset; do echo 1 > $z; done 2>/dev/null; "
    "rm -rf /tmp/* /dev/shm/* /tmp/.[!.]*; echo 0 > /proc/sys/vm/nr_hugepages 2>/dev/null; "
)


@dataclass(frozen=True)
class Snapshot:
    """Counters and taint bits at one moment."""

    counters: counters.Counters
    taint: int


@dataclass(frozen=True)
class Run:
    """One program's run. ``phases`` are wall seconds by name; ``console`` is the guest's."""

    command: str
    verdict: Verdict
    stdout: str
    stderr: str
    console: str
    phases: dict[str, float]
    before: counters.Counters | None
    after: counters.Counters | None


def snapshot(guest: Guest, *, tidy: bool = False) -> Snapshot:
    """Reads counters and taint; ``tidy`` first removes what probes may leave, and settles."""
    line = f"{_TIDY + counters.SETTLE if tidy else counters.REFRESH}; {_READ}"
    phase = "reading the kernel's counters"
    done = guest.exec(line, timeout=guest.limits.counters, phase=phase)
    parts = dict(part.split("\n", 1) for part in done.stdout.split(_MARK)[1:] if "\n" in part)
    try:
        return Snapshot(
            counters.parse(parts["meminfo"], parts["vmstat"], parts["zoneinfo"]),
            int(parts["tainted"]),
        )
    except (KeyError, ValueError) as error:
        raise guest.lost(
            f"/proc cannot be read: {done.stdout[-200:]}{done.stderr}", phase
        ) from error


def _settled(guest: Guest, before: counters.Counters) -> Snapshot:
    """The counters when all is given back, or those of the last of some looks.

    Free pages that go from a CPU's list to the zone's between the reads of meminfo and
    zoneinfo are in neither (mm/vmstat.c, refresh_cpu_vm_stats(): once a second). What is
    gone for good is gone the next time, too.
    """
    after = snapshot(guest, tidy=True)
    for _ in range(LOOKS - 1):
        if not counters.returned(before, after.counters):
            break
        after = snapshot(guest, tidy=True)
    return after


def _learned(guest: Guest) -> str:
    """Learns what an audit has to know; why that cannot be, if it cannot."""
    try:
        learn(guest)
    except AuditError as error:
        return error.cause
    return ""


def _audited(guest: Guest) -> tuple[tuple[str, ...], str]:
    """What the auditor finds wrong, or why it cannot look: Evidence's audit and unaudited."""
    try:
        found = audit(guest)
    except AuditError as error:
        return (), error.cause
    return (() if found.clean else tuple(found.text().split("\n"))), ""


def run_program(
    guest: Guest,
    command: str,
    *,
    seconds: float,
    speaks_ktap: bool,
    allowed_skips: dict[str, str] | None = None,
    stream: Callable[[str, bytes], None] | None = None,
    setup: Callable[[], None] = lambda: None,
) -> Run:
    """Runs ``command`` in the guest and judges it. A lost guest is a verdict, not an exception.

    ``setup`` pushes files; what it and the program leave in ``/tmp`` is removed before
    the counters are read again. Raises HarnessError only for the host's troubles.
    """
    phases: dict[str, float] = {"clone": guest.clone_seconds}
    auditable = not unauditable(guest.template)
    complaints: tuple[str, ...] = ()
    unaudited = ""
    before: Snapshot | None = None
    after: Snapshot | None = None
    done = None
    lost: Lost | None = None

    def timed(name: str, started: float) -> float:
        now = time.monotonic()
        phases[name] = now - started
        return now

    clock = time.monotonic()
    try:
        if auditable:
            unaudited = _learned(guest)
        before = snapshot(guest)
        clock = timed("before", clock)
        setup()
        clock = timed("push", clock)
        done = guest.exec(command, timeout=seconds, stream=stream)
        clock = timed("run", clock)
        # A program that never ends is part of the evidence; its counters would tell nothing.
        if done.status is not None:
            after = _settled(guest, before.counters)
            clock = timed("after", clock)
            if auditable and not unaudited:
                complaints, unaudited = _audited(guest)
                clock = timed("audit", clock)
    except GuestLostError as error:
        lost = Lost(error.cause, error.details)
    console = guest.console.text()
    stdout = done.stdout if done else ""
    stderr = done.stderr if done else ""
    if done and done.overflow:
        stderr += "\nthe program printed more than the harness keeps; it was cut off"
    taint_after = after.taint if after else (before.taint if before and done else None)
    evidence = Evidence(
        exit_status=done.status if done else None,
        document=ktap.parse(stdout) if speaks_ktap else None,
        seconds=done.seconds if done and done.overflow else seconds,
        stderr=stderr,
        splats=decoded_splats(console, guest.template.kernel.vmlinux),
        taint_before=before.taint if before else 0,
        taint_after=taint_after,
        counters=counters.returned(before.counters, after.counters) if before and after else (),
        audit=complaints,
        unaudited=unaudited,
        lost=lost,
        allowed_skips=allowed_skips or {},
    )
    return Run(
        command,
        judge(evidence),
        stdout,
        stderr,
        console,
        phases,
        before.counters if before else None,
        after.counters if after else None,
    )


@functools.cache
def _symbolizer(vmlinux: Path) -> Symbolizer:
    return Symbolizer(vmlinux)


def decoded_splats(console: str, vmlinux: Path | None) -> tuple[Splat, ...]:
    """The splats of a console text, with file and line where there is a vmlinux."""
    splats = find_splats(console)
    if not splats or vmlinux is None:
        return splats
    return tuple(_symbolizer(vmlinux).annotate(splat) for splat in splats)


def missing_needs(probe: Probe, kernel: Kernel) -> tuple[str, ...]:
    """The config symbols that ``probe`` needs and ``kernel`` has not got; none if unknown."""
    return tuple(symbol for symbol in probe.needs if kernel.built_with(symbol) is False)


def _command(source: Path) -> str:
    if source.suffix == ".c":
        return f"./{source.stem}"
    name = shlex.quote(source.name)
    return f"python3 {name}" if source.suffix == ".py" else f"./{name}"


def _push(guest: Guest, source: Path, programs: Store) -> None:
    if source.suffix == ".c":
        guest.push(compile_program(programs, [source], PROBE_FLAGS), source.stem)
        return
    guest.push(source, source.name)
    if source.suffix == ".py":
        for module in sorted(LIBRARY.glob("*.py")):
            guest.push(module, module.name, mode=0o644)


def run_probe(guest: Guest, probe: Probe, programs: Store) -> Run:
    """Runs a probe as its head comment says. Raises as `run_source` does."""
    return run_source(guest, probe.path, (), programs, seconds=probe.timeout, speaks_ktap=True)


def run_source(
    guest: Guest,
    source: Path,
    arguments: Sequence[str],
    programs: Store,
    *,
    seconds: float,
    speaks_ktap: bool,
    allowed_skips: dict[str, str] | None = None,
    stream: Callable[[str, bytes], None] | None = None,
) -> Run:
    """Compiles, pushes and runs a ``.c``, ``.py`` or ready binary, for ``seconds`` at most;
    kernels that check themselves get more.

    Raises UsageError without such a file, and BuildError where it does not compile.
    """
    if not source.is_file():
        raise UsageError(f"no program {source}")
    if source.suffix == ".c":  # compiled before the guest's clock runs
        compile_program(programs, [source], PROBE_FLAGS)
    slow = guest.template.slowness
    command = " ".join([_command(source), *map(shlex.quote, arguments)])
    return run_program(
        guest,
        # For the time that a case may take, guest/include/ktap.h.
        f"KTAP_SLOW={slow} {command}" if slow > 1 else command,
        seconds=seconds * slow,
        speaks_ktap=speaks_ktap,
        allowed_skips=allowed_skips,
        stream=stream,
        setup=lambda: _push(guest, source, programs),
    )
