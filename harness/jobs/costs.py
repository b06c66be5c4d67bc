# SPDX-License-Identifier: MIT
"""What reuse of tag storage gives and costs: guest instructions, two kernels in one run.

Instructions, not time: TCG's time says nothing of hardware. They do not tell of caches, of
cache maintenance, or of locks that several CPUs want.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness.core.cross import PROBE_FLAGS, compile_program
from harness.core.errors import HarnessError
from harness.core.paths import repository_root
from harness.report.model import Figure
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    from harness.suite.session import Session

PROGRAM = "guest/bench/cost.c"
# What each line of the program's output is, and the ratio to stock that we aim at.
OPERATIONS = {
    "fault_plain": ("fault on an untagged page", "1.01"),
    "fault_tagged_reserved": ("fault on a tagged page, storage reserved", "1.03"),
    "fault_tagged": ("fault on a tagged page, every 32nd takes a free block", "1.15"),
    "copy_tagged": ("copy-on-write of a tagged page", ""),
    "mprotect_fault": ("page made PROT_MTE, and touched", ""),
    "free_plain": ("unmap an untagged page", ""),
    "free_tagged": ("unmap a tagged page", ""),
    "fork_exit_plain": ("fork and exit, 64 MiB untagged", ""),
    "fork_exit_tagged": ("fork and exit, 64 MiB tagged", "1.05"),
    "fault_tagged_evict": ("fault on a tagged page while all storage holds data", ""),
    "fault_tagged_evict_worst": ("the worst of 2048 such faults", ""),
}


def costs(session: Session) -> tuple[Figure, ...]:
    """Measure `stock` on dram/carveout and `tag-storage` on dram/tag-storage, in 20 s or so."""
    stock = _measure(session, "stock", "dram/carveout", ["", "fill"])
    reuse = _measure(session, "tag-storage", "dram/tag-storage", ["", "fill", "evict"])
    storage = sum(region.storage_size for region in find_machine("dram").tags) >> 10
    gained = (reuse["filled_kib"] - stock["filled_kib"]) / storage
    figures = [
        Figure(
            "untagged memory that a program can fill; of tag storage gained",
            "97 %",
            f"{stock['filled_kib'] / 1024:.1f} MiB",
            f"{reuse['filled_kib'] / 1024:.1f} MiB",
            f"{100 * gained:.1f} %",
        )
    ]
    for name, (what, reach) in OPERATIONS.items():
        before = stock.get(name)
        figures.append(
            Figure(
                what,
                reach,
                f"{before:.0f}" if before else "",
                f"{reuse[name]:.0f}",
                f"{reuse[name] / before:.3f}" if before else "",
            )
        )
    return tuple(figures)


def _measure(session: Session, kernel: str, name: str, modes: list[str]) -> dict[str, float]:
    spec = dataclasses.replace(find_machine(name), name=f"{name} (icount)", cpus=1, icount=True)
    session.check(spec)
    template = session.template(session.kernel(kernel), spec)
    program = compile_program(session.programs, [repository_root() / PROGRAM], PROBE_FLAGS)
    found: dict[str, float] = {}
    for mode in modes:  # a guest each: what one leaves behind is no part of the next
        with session.guest(template) as guest:
            guest.push(program, "cost")
            done = guest.exec(f"./cost {mode}", timeout=session.limits.cost)
        if done.status != 0:
            raise HarnessError(f"{PROGRAM} {mode} failed on {kernel}", details=done.stderr)
        for line in done.stdout.splitlines():
            what, count = line.split()
            found[what] = float(count)
    return found
