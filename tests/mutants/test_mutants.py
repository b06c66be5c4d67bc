# SPDX-License-Identifier: MIT
"""Each mutant of a table is caught by the probe that the table names.

kernel-configs/mutants breaks MTE as it is in Linux 7.3, mutants-6.12 as it is in 6.12, and
reuse-mutants our reuse of tag storage. One kernel holds all of a table and one template serves
all: a clone is told its mutant through a kernel parameter. A mutant without ``caught_by``, or
whose probe passes, is tried with every other probe, those of its own area first; the
failure then says which one caught it, or that none did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import resources
from harness.kernel.mutants import HOLDERS, mutants_of
from harness.suite.gather import gather, why_not
from harness.suite.head_comment import Probe, discover
from harness.suite.program import Program, probe_program
from harness.suite.tries import gather_until_tested
from harness.verdict.judge import judge
from harness.verdict.result import ProbeResult, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.kernel import Kernel
    from harness.kernel.mutants import Mutant
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session
    from harness.verdict.evidence import Evidence

ROOT = resources()
PROBES = {probe.name: probe for probe in discover(ROOT / "guest" / "probes")}
TABLE = [mutant for recipe in HOLDERS for mutant in mutants_of(recipe)]

# Of some mutants it is chance what one run sees: which CPU a thread wakes on, say.
TRIES = 3
# A probe that could not run, or ran out of time on a busy host, has not caught anything.
CAUGHT = {Status.FAIL, Status.SPLAT, Status.LOST}


@dataclass(frozen=True)
class Mutants:
    """The kernel that holds all mutants of a table, and how to run a probe on one of them."""

    launch: Launcher
    session: Session
    recipe: str

    @property
    def kernel(self) -> Kernel:
        """Return the kernel that holds the mutants."""
        return self.launch.template(self.recipe).kernel

    def result(self, number: int, probe: Probe) -> ProbeResult:
        """Return the result of ``probe`` on clones with mutant ``number``; 0 is none."""
        path = HOLDERS[self.recipe].switch
        template = self.launch.template(self.recipe)

        def attempt(program: Program) -> Evidence:
            with self.launch(template, excused=True) as guest:
                done = guest.exec(f"echo {number} > {path} && cat {path}")
                assert done.stdout.strip() == str(number), done
                return gather(guest, program)

        program = probe_program(probe, self.session.programs, template.kernel.page_size)
        record = self.session.preconditions
        return judge(gather_until_tested(attempt, program, template, record))

    def reason(self, number: int, probe: Probe) -> str | None:
        """Return why ``probe`` fails on mutant ``number``, in one line; None if it passes.

        A mutant that withholds what a case needs is caught by that, if the same kernel without
        the mutant gives it.
        """
        found = self.result(number, probe)
        if found.status is Status.UNTESTED and self.result(0, probe).status is Status.PASS:
            return f"withheld: {found.title}"
        return found.title if found.status in CAUGHT else None


@pytest.fixture
def held_by(launch: Launcher, harness_session: Session) -> Callable[[str], Mutants]:
    """Return the mutants of a table."""
    return lambda recipe: Mutants(launch, harness_session, recipe)


def others(area: str, tried: str | None, kernel: Kernel) -> list[Probe]:
    """All probes for the kernel but one; the mutant's own area and the quick ones first."""
    rest = [p for p in PROBES.values() if p.name != tried and not why_not(p, kernel)]
    return sorted(rest, key=lambda probe: (probe.area != area, probe.timeout, probe.name))


NAMED = sorted({(mutant.recipe, mutant.caught_by) for mutant in TABLE if mutant.caught_by})


@pytest.mark.parametrize(("recipe", "probe"), NAMED)
def test_passes_without_a_mutant(
    recipe: str, probe: str, held_by: Callable[[str], Mutants]
) -> None:
    found = held_by(recipe).result(0, PROBES[probe])
    assert found.status is Status.PASS, found.text()


@pytest.mark.parametrize("mutant", TABLE, ids=lambda m: f"{m.recipe}-{m.number}-{m.name}")
def test_caught(mutant: Mutant, held_by: Callable[[str], Mutants]) -> None:
    number, named = mutant.number, mutant.caught_by
    mutants = held_by(mutant.recipe)
    for _ in range(TRIES if named else 0):
        if mutants.reason(number, PROBES[named]):
            return
    for probe in others(mutant.area, named, mutants.kernel):
        why = mutants.reason(number, probe)
        if why:
            pytest.fail(f"mutant {number}: the table names {named}; {probe.name} caught it: {why}")
    pytest.fail(f"mutant {number} survives every probe: {mutant.wrong}")
