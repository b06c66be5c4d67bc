# SPDX-License-Identifier: MIT
"""The gain and the costs of reusing tag storage: guest instructions of two kernels, compared.

Instructions, not time: the time of an emulated instruction says nothing about hardware. The
counts leave out cache misses, cache maintenance, and locks that several CPUs contend for.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness.core.cross import compile_program, probe_flags
from harness.core.errors import HarnessError
from harness.core.paths import resources
from harness.kernel import locate_kernel
from harness.report.model import Figure
from harness.suite.target import Target
from harness.vm.spec import find_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.suite.session import Session

PROGRAM = "guest/bench/cost.c"
# For each name that the program prints: the operation, and the ratio to stock that we aim at.
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
FILLED = "filled_kib"  # untagged memory that the program could fill, in KiB


def measure_costs(session: Session) -> tuple[Figure, ...]:
    """Compare `stock-6.12` on dram/carveout with `tag-storage` on dram/tag-storage; takes 20 s."""
    stock = _count(session, "stock-6.12", "dram/carveout", ["", "fill"])
    reuse = _count(session, "tag-storage", "dram/tag-storage", ["", "fill", "evict"])
    storage = sum(region.storage_size for region in find_machine("dram").tags) >> 10
    return compare(stock, reuse, storage)


def compare(
    stock: Mapping[str, float], reuse: Mapping[str, float], storage_kib: int
) -> tuple[Figure, ...]:
    """Return the figures of the counts of both kernels, on a machine with that tag storage.

    An operation that only ``reuse`` has counted gets no ratio. Raises HarnessError if ``reuse``
    lacks one.
    """
    if missing := [name for name in (FILLED, *OPERATIONS) if name not in reuse]:
        raise HarnessError(f"{PROGRAM} did not count {', '.join(missing)}")
    gained = (reuse[FILLED] - stock[FILLED]) / storage_kib
    figures = [
        Figure(
            "untagged memory that a program can fill; of tag storage gained",
            "97 %",
            f"{stock[FILLED] / 1024:.1f} MiB",
            f"{reuse[FILLED] / 1024:.1f} MiB",
            f"{100 * gained:.1f} %",
        )
    ]
    for name, (operation, aim) in OPERATIONS.items():
        before = stock.get(name)
        figures.append(
            Figure(
                operation,
                aim,
                f"{before:.0f}" if before else "",
                f"{reuse[name]:.0f}",
                f"{reuse[name] / before:.3f}" if before else "",
            )
        )
    return tuple(figures)


def parse_counts(output: str) -> dict[str, float]:
    """Return the counts that the program printed, one ``NAME NUMBER`` a line.

    Raises HarnessError for a name that is neither FILLED nor one of OPERATIONS.
    """
    counts = {}
    for line in output.splitlines():
        name, count = line.split()
        if name != FILLED and name not in OPERATIONS:
            raise HarnessError(f"{PROGRAM} counted {name}, which is not one of OPERATIONS")
        counts[name] = float(count)
    return counts


def _count(session: Session, kernel: str, machine_name: str, modes: list[str]) -> dict[str, float]:
    """Run the program in each of its modes on one CPU that counts instructions."""
    spec = find_machine(machine_name)
    spec = dataclasses.replace(spec, name=f"{machine_name} (icount)", cpus=1, icount=True)
    template = session.prepare(Target(locate_kernel(kernel, resources()), spec))
    flags = probe_flags(template.kernel.page_size)
    program = compile_program(session.programs, [resources() / PROGRAM], flags)
    counts: dict[str, float] = {}
    for mode in modes:  # in a guest of its own: the memory state of one mode changes the next
        with session.guest(template) as guest:
            guest.push(program, "cost")
            done = guest.exec(f"./cost {mode}", timeout=session.limits.cost)
        if done.status != 0:
            raise HarnessError(f"{PROGRAM} {mode} failed on {kernel}", details=done.stderr)
        counts |= parse_counts(done.stdout)
    return counts
