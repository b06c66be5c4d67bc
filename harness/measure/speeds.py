# SPDX-License-Identifier: MIT
"""How fast the harness is on this host: seconds for clones, boots, audits and kernel builds."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.deadline import Deadline
from harness.core.errors import HarnessError
from harness.core.paths import cache_root, resources
from harness.core.progress import plain_progress
from harness.guest.ssh import SshConnection, loopback
from harness.guest.template import Template, guest_files, wait_ready
from harness.kernel import Kernel, locate_kernel, obtain_kernel
from harness.measure.pressure import hold_pressure
from harness.suite.gather import run_program
from harness.suite.head_comment import discover
from harness.suite.program import probe_program
from harness.suite.session import Session
from harness.suite.target import parse_target
from harness.verdict.audit import audit
from harness.verdict.result import Status
from harness.vm.geometry import MIB, PAGE
from harness.vm.qemu_args import ColdBoot, SavedMachine
from harness.vm.run_disk import RunKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROBES = resources() / "guest" / "probes"
CLONES = 15
BOOTS = 5

# The figures of a subject by name: samples and their unit.
Samples = dict[str, tuple[list[float], str]]


def guest_samples(session: Session) -> dict[str, Samples]:
    """Measure clones, cold boots and an audit of `stock`; return the samples of each machine."""
    template = session.prepare(parse_target("stock", "emulator"))
    running, answered = _clone_seconds(session, template)
    cold = _cold_boot_seconds(template)
    dram = session.prepare(parse_target("stock", "dram"))
    dram_running, dram_answered = _clone_seconds(session, dram)
    audited, paused, tagged = _audit_seconds(session, dram)
    size = f"about {round(tagged * PAGE / MIB, -2):.0f} MiB tagged"
    ratio = statistics.median(answered) / statistics.median(cold)
    return {
        "emulator": {
            "clone running": (running, "s"),
            "clone to first exec answered": (answered, "s"),
            "cold boot to first exec answered": (cold, "s"),
            "clone / cold boot, to first exec": ([ratio], ""),
        },
        "dram": {
            "clone running": (dram_running, "s"),
            "clone to first exec answered": (dram_answered, "s"),
            f"audit, {size}": ([audited], "s"),
            f"guest paused by an audit, {size}": ([paused], "s"),
        },
    }


def build_samples() -> Samples:
    """Measure kernel builds in a cache of their own, with no ccache hit from an earlier run."""
    return {name: ([seconds], "s") for name, seconds in _build_seconds().items()}


def _clone_seconds(session: Session, template: Template) -> tuple[list[float], list[float]]:
    """Return the seconds until a clone runs, and until its first command is answered."""
    running, answered = [], []
    for _ in range(CLONES):
        started = time.monotonic()
        with session.guest(template) as guest:
            running.append(time.monotonic() - started)
            guest.exec("true")
            answered.append(time.monotonic() - started)
    return running, answered


def _cold_boot_seconds(template: Template) -> list[float]:
    """Return the seconds from power-on to the first command answered, without a template."""
    times = []
    keys = RunKeys.generate()
    for _ in range(BOOTS):
        with tempfile.TemporaryDirectory(dir=template.directory.parent) as scratch:
            started = time.monotonic()
            files = guest_files(template.kernel, template.image, keys)
            start = ColdBoot(SavedMachine(Path(scratch)))
            limits = template.limits
            with template.machine.launch(start, files) as process:
                wait_ready(process, template.kernel, limits)
                deadline = Deadline.after(limits.ssh_connect)
                connection = SshConnection(loopback(process.ssh_port(), keys), deadline)
                connection.exec("true", Deadline.after(limits.exec))
                times.append(time.monotonic() - started)
                connection.close()
    return times


def _audit_seconds(session: Session, template: Template) -> tuple[float, float, int]:
    """Return the seconds of an audit, those with the guest paused, and the tagged pages."""
    with session.guest(template) as guest:
        expected = hold_pressure(guest, session.programs, seed=1, seconds=2).expected()
        audit(guest, expected)  # the first audit of a kernel also learns its page-flag bits
        started = time.monotonic()
        found = audit(guest, expected)
        return time.monotonic() - started, found.seconds, found.tagged


@contextmanager
def _scratch_cache() -> Iterator[Path]:
    """Make an empty cache on the disk of the real one, and remove it."""
    cache_root().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mte-bench-", dir=cache_root().parent) as name:
        yield Path(name)


def _build_seconds() -> dict[str, float]:
    """Return the seconds of builds, and of an edit until a probe's verdict on it is there.

    The builds are of `stock` from nothing, of a source directory unchanged, and with one mm/*.c of
    it changed. A verdict takes the emulator check, a build, a boot, a clone and a program.
    """
    progress = plain_progress()
    with _scratch_cache() as cache:

        def build(argument: str) -> Kernel:
            return obtain_kernel(locate_kernel(argument, resources()), cache, progress)

        nothing = _seconds(lambda: build("stock"))
        tree = cache / "bench-tree"
        tree.mkdir()
        progress.step("copying a source directory")
        (pristine,) = (path for path in (cache / "sources").iterdir() if path.is_dir())
        shutil.copytree(pristine, tree, symlinks=True, dirs_exist_ok=True)
        source = str(tree)
        build(source)
        unchanged = _seconds(lambda: build(source))
        edited = tree / "mm" / "mprotect.c"
        _edit(edited, "one")
        one_file = _seconds(lambda: build(source))
        (probe,) = (probe for probe in discover(PROBES) if probe.name == "cow_fork")

        def verdict() -> None:
            session = Session(cache, progress)
            template = session.prepare(parse_target(source, "emulator"))
            program = probe_program(probe, session.programs, template.kernel.page_size)
            with session.guest(template) as guest:
                result = run_program(guest, program)
            if result.status is not Status.PASS:
                raise HarnessError(f"{probe.name} on stock: {result.title}")

        verdict()  # which makes the guest image, too
        _edit(edited, "two")
        to_verdict = _seconds(verdict)
    return {
        "kernel build from nothing": nothing,
        "source directory, nothing changed": unchanged,
        "source directory, one mm/*.c changed": one_file,
        "one mm/*.c changed, to a probe's verdict": to_verdict,
    }


def _edit(path: Path, name: str) -> None:
    path.write_text(path.read_text() + f"\n/* bench */\nint mte_bench_edit_{name};\n")


def _seconds(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started
