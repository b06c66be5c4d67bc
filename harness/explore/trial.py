# SPDX-License-Identifier: MIT
"""Runs sequences in fresh guests, many in each, and tells how each one deviated."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bugs.signs import in_words, is_sign, signs_of
from harness.core.cross import compile_program, probe_flags
from harness.core.errors import HarnessError, UsageError
from harness.core.paths import resources
from harness.explore.deviation import Deviation, deviation_of
from harness.explore.generate import steps_of
from harness.explore.memory import PAGE
from harness.explore.steps import Script
from harness.explore.world import Ground
from harness.kernel.releases import parse_release
from harness.suite.gather import gather
from harness.suite.program import Program, PushedFile
from harness.verdict.judge import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.explore.operations import Sequence_
    from harness.guest.guest import Guest
    from harness.guest.template import Template
    from harness.suite.session import Session
    from harness.verdict.evidence import Evidence

SOURCE = resources() / "guest" / "explore" / "interpreter.c"
SECONDS = 20  # of one sequence; a healthy one takes some milliseconds for each operation
LIMIT = 600.0  # seconds of a guest
HUGETLB_MTE = (6, 13)  # 25c17c4b55de
SWAPS = {"zram": "/dev/zram0", "disk": "/dev/vdb", "none": ""}
# Ends of the fingerprints of what is not one sequence's.
EVERYWHERE, TOGETHER = ", in every guest", ", by several sequences"


@dataclass(frozen=True)
class Place:
    """Where sequences run: a kernel's saved guest, its swap, a shell line that comes first."""

    template: Template
    swap: str = "zram"
    prelude: str = ""

    @property
    def ground(self) -> Ground:
        """What the operations must know of it."""
        kernel = self.template.kernel
        release = parse_release(kernel.release)
        reuses = bool(kernel.built_with("CONFIG_ARM64_MTE_TAG_STORAGE"))
        return Ground(
            release,
            SWAPS[self.swap],
            userfaultfd=bool(kernel.built_with("CONFIG_USERFAULTFD")),
            hugetlb=bool(kernel.built_with("CONFIG_HUGETLBFS"))
            and release >= HUGETLB_MTE
            and not reuses,  # which refuses PROT_MTE for them
        )


class Trials:
    """Runs batches of sequences at a place. ``executed`` counts the operations."""

    def __init__(self, session: Session, place: Place) -> None:
        if place.template.kernel.page_size != PAGE:
            kib = place.template.kernel.page_size >> 10
            raise UsageError(
                f"{place.template.kernel.name} has pages of {kib} KiB; sequences are for 4 KiB",
                "name a kernel with pages of 4 KiB",
            )
        self.session = session
        self.place = place
        self.executed = 0
        self.sequences = 0
        self._aborted = False
        self._guest: Guest | None = None  # the last one
        self._always: str | None = None  # what a guest shows without a sequence
        self._binary = compile_program(session.programs, [SOURCE], probe_flags(PAGE))

    def run(self, batch: Sequence[Sequence_]) -> list[Deviation | None]:
        """Return how each sequence deviated, all in one fresh guest.

        What the guest as a whole shows (a splat, memory that is not given back) is traced to one
        sequence by runs of halves, in other guests. If a guest shows it without any sequence, or
        neither half does, one deviation says so.
        """
        if not batch:
            return []
        found, trouble = self._run_once(batch)
        if not trouble:
            return found
        if any(found):  # what deviated may have made the trouble; the others are tried without it
            rest = iter(self.run([one for one, bad in zip(batch, found, strict=True) if not bad]))
            return [bad or next(rest) for bad in found]
        if self._always is None:
            always = self._run_once([()])[1]
            self._always = always.kind if always else ""
        if self._always == trouble.kind:
            return [dataclasses.replace(trouble, kind=f"{trouble.kind}{EVERYWHERE}"), *found[1:]]
        if len(batch) == 1:
            return [trouble]
        half = len(batch) // 2
        parts = [*self.run(batch[:half]), *self.run(batch[half:])]
        if not any(parts):  # it takes several of them, or chance
            parts[-1] = dataclasses.replace(trouble, kind=f"{trouble.kind}{TOGETHER}")
        return parts

    def _run_once(
        self, batch: Sequence[Sequence_]
    ) -> tuple[list[Deviation | None], Deviation | None]:
        script, all_steps, ground = Script(), [], self.place.ground
        for sequence in batch:
            steps = steps_of(sequence, ground)
            script.add(steps, SECONDS)
            all_steps.append(steps)
        evidence = self._gathered(script)
        self.sequences += len(batch)
        self.executed += sum(map(len, batch))
        result = judge(evidence)
        cases = {case.name: case for case in result.cases}
        deviations = [
            deviation_of(case, steps, sequence) if (case := cases.get(f"s{number}")) else None
            for number, (sequence, steps) in enumerate(zip(batch, all_steps, strict=True), 1)
        ]
        signs = signs_of(evidence, result)
        whole = {
            sign: line
            for sign, line in signs.items()
            if not sign.startswith("case ") and not (sign.startswith("exit") and any(deviations))
        }
        if not whole and len(cases) < len(batch):  # a deviation alone would hide that
            text = f"{len(batch) - len(cases)} of {len(batch)} sequences have no result"
            whole = {"lost": f"{text}: {result.title}"}
        if not whole:
            return deviations, None
        if not any(map(is_sign, whole)):
            raise HarnessError(
                f"sequences could not be put to the test: {in_words(whole)}",
                "see the console",
                result.text(),
            )
        sign = next(filter(is_sign, whole))
        return deviations, Deviation(sign, whole[sign])

    def _gathered(self, script: Script) -> Evidence:
        # A file without a name: nothing is left behind, whatever ends this process.
        with open(os.memfd_create("script"), "wb") as file:  # noqa: PTH123 - it has no path
            file.write(script.bytes())
            file.flush()
            line = f"./interpreter script {self.place.swap}"
            if self.place.prelude:
                line = f"{self.place.prelude}; {line}"
            files = (
                PushedFile(self._binary, "interpreter"),
                PushedFile(Path(f"/proc/self/fd/{file.fileno()}"), "script"),
            )
            program = Program(line, LIMIT, speaks_ktap=True, files=files)
            with self.session.guest(self.place.template) as self._guest:
                if self._aborted:
                    raise HarnessError("the search was ended")
                return gather(self._guest, program)

    def abort(self) -> None:
        """End the guest that runs, and let none begin; whoever waits for it gets an error."""
        self._aborted = True
        if self._guest:
            self._guest.process.kill()
