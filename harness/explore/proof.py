# SPDX-License-Identifier: MIT
"""The last proof of a hit: its C program, compiled and run by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.bugs.kernel_trial import KernelTrials
from harness.bugs.reproducer import Reproducer
from harness.bugs.reproduction import reproduce
from harness.bugs.search import CannotTryError
from harness.bugs.signs import ANY
from harness.core.files import replace_file
from harness.explore import hit as hits
from harness.explore.c_program import COMPILE, print_program
from harness.explore.generate import steps_of
from harness.explore.on_guest import DISK, ZRAM
from harness.explore.world import MAP_HUGETLB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.explore.guest_search import Hit
    from harness.explore.operations import Sequence_
    from harness.explore.steps import Step
    from harness.explore.trial import Place
    from harness.suite.session import Session
    from harness.suite.target import Target

RUNS = 4
SECONDS = 60.0
_SWAPS = {"zram": (ZRAM.format(size="256M"),), "disk": (DISK,), "none": ()}


@dataclass(frozen=True)
class Printed:
    """The C program of a hit: its file and lines, and the shell lines that come before it."""

    path: Path
    lines: int
    setup: tuple[str, ...]


def _setup(sequence: Sequence_, steps: Sequence[Step], swap: str) -> Iterator[str]:
    """Yield shell lines that bring a guest to where the interpreter has it, as far as it matters.

    guest/explore/interpreter.c, swap_on(), settings_reset(), pool_set().
    """
    kinds = {operation.kind for operation in sequence}
    if kinds & {"pageout", "swapoff", "swap_shape", "soft_offline"}:
        yield from _SWAPS[swap]
    if kinds & {"mergeable", "ksm_unmerge"}:
        yield "cd /sys/kernel/mm/ksm; echo 0 > sleep_millisecs; echo 10000 > pages_to_scan"
    if any(step.name == "mmap" and _flags(step) & MAP_HUGETLB for step in steps):
        yield "echo 40 > /proc/sys/vm/nr_hugepages"
    yield (
        "cd /sys/kernel/mm/transparent_hugepage; "
        "echo madvise > enabled; echo advise > shmem_enabled; echo madvise > hugepages-64kB/enabled"
    )


def _flags(step: Step) -> int:
    return int(str(step.args[3]))


def write_hit(hit: Hit, place: Place, directory: Path) -> Printed:
    """Write the sequence of a hit, whole and shrunk, and its C program to a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    kernel = place.template.kernel
    deviation = hit.deviation
    for name, sequence in (("found", hit.found), ("sequence", hit.sequence)):
        saved = hits.Saved(sequence, place.swap, deviation.kind, deviation.text, kernel.release)
        hits.write(saved, directory / f"{name}.json")
    steps = steps_of(hit.sequence, place.ground)
    if deviation.step is not None:
        steps = steps[: deviation.step + 1]
    setup = tuple(_setup(hit.sequence, steps, place.swap))
    about = "\n".join(
        [
            f"{deviation.kind}, on Linux {kernel.release}: {hit.rate:.0%} of runs",
            f"Build: {COMPILE} -o hit hit.c",
            "Run as root, after these lines in a shell:",
            *(f"  {line}" for line in setup),
        ]
    )
    text = print_program(steps, deviation, about, always=hit.rate == 1)
    path = directory / "hit.c"
    replace_file(path, text.encode())
    return Printed(path, text.count("\n"), setup)


def prove(
    session: Session,
    target: Target,
    name: str,
    printed: Printed,
    *,
    place: Place,
    say: Callable[[str], None],
) -> str:
    """Run the program in fresh guests of ``target``; return how often it failed, in words.

    Before it runs what its head comment tells to run, and nothing else.
    """
    prelude = "; ".join(f"({line}) > /dev/null 2>&1" for line in printed.setup)
    if place.prelude:
        prelude = f"{place.prelude}; {prelude}"
    reproducer = Reproducer(printed.path, seconds=SECONDS, prelude=prelude)
    trials = KernelTrials(session, reproducer, lambda _: target)
    try:
        found = reproduce(trials, name, RUNS, ANY, say)
    except CannotTryError as error:
        return f"{name} {error}"
    return f"fails {found.tally.hits} of {found.tally.runs} on {name}"
