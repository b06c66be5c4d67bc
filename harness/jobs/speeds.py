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
from harness.core.paths import cache_root, resources
from harness.core.progress import plain_progress
from harness.guest.ssh import SshConnection
from harness.guest.template import Template, guest_files, wait_ready
from harness.jobs.pressure import hold_pressure
from harness.kernel import Kernel, locate_kernel, obtain_kernel
from harness.suite.target import parse_target
from harness.verdict.audit import audit
from harness.vm.geometry import MIB, PAGE
from harness.vm.qemu_args import ColdBoot, SavedMachine
from harness.vm.run_disk import RunKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.suite.session import Session

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
    nothing, unchanged, one_file = _build_seconds()
    return {
        "kernel build from nothing": ([nothing], "s"),
        "source directory, nothing changed": ([unchanged], "s"),
        "source directory, one mm/*.c changed": ([one_file], "s"),
    }


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
                connection = SshConnection(process.ssh_port(), keys, deadline)
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


def _build_seconds() -> tuple[float, float, float]:
    """Return the seconds of three builds.

    They are `stock` from nothing, a source directory unchanged, and one mm/*.c of it changed.
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
        edited.write_text(edited.read_text() + "\n/* bench */\nint mte_bench_edit;\n")
        one_file = _seconds(lambda: build(source))
    return nothing, unchanged, one_file


def _seconds(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started
