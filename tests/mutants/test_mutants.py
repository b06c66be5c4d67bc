# SPDX-License-Identifier: MIT
"""Each mutant of a table is caught by the probe that the table names.

kernel-configs/mutants breaks MTE as it is in Linux, kernel-configs/reuse-mutants our
reuse of tag storage. One kernel holds all of a table and one template serves all: a
clone is told its mutant through a kernel parameter. A mutant without ``caught_by``, or
whose probe passes, is tried with every other probe, those of its own area first; the
failure then says which one caught it, or that none did.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.paths import resources
from harness.suite.gather import run_probe
from harness.suite.head_comment import Probe, discover
from harness.suite.target import parse_target
from harness.verdict.judge import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.guest.template import Template
    from harness.suite.session import Session

ROOT = resources()
PROBES = {probe.name: probe for probe in discover(ROOT / "guest" / "probes")}
# The recipe with each table, and the parameter that chooses.
PARAMETERS = {"mutants": "mte_mutant", "reuse-mutants": "metadata_mutant"}


def table(recipe: str) -> list[dict[str, Any]]:
    """The mutants of ``recipe`` that a program can see."""
    path = ROOT / "kernel-configs" / recipe / "mutants.toml"
    listed = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return [{"recipe": recipe, **mutant} for mutant in listed if "equivalent" not in mutant]


TABLE = [mutant for recipe in PARAMETERS for mutant in table(recipe)]


@pytest.fixture(scope="session")
def mutants(request: pytest.FixtureRequest, harness_session: Session) -> Callable[[str], Template]:
    """The saved guest of the kernel that holds all of a table."""
    machine = request.config.getoption("--machine")

    @functools.cache
    def template(recipe: str) -> Template:
        return harness_session.prepare(parse_target(recipe, machine))

    return template


# Of some mutants it is chance what one run sees: which CPU a thread wakes on, say.
TRIES = 3
# A probe that could not run, or ran out of time on a busy host, has not caught anything.
CAUGHT = {Status.FAIL, Status.SPLAT, Status.LOST}


@dataclass(frozen=True)
class Kernel:
    """One kernel with mutants, and how to run a probe on it."""

    session: Session
    template: Template
    parameter: str

    def verdict(self, number: int, probe: Probe) -> Verdict:
        """The verdict of ``probe`` on a clone with mutant ``number``; 0 is none."""
        path = f"/sys/module/kernel/parameters/{self.parameter}"
        with self.session.guest(self.template) as guest:
            done = guest.exec(f"echo {number} > {path} && cat {path}")
            assert done.stdout.strip() == str(number), done
            return run_probe(guest, probe, self.session.programs).verdict

    def reason(self, number: int, probe: Probe) -> str | None:
        """Why ``probe`` fails on mutant ``number``, in one line; None when it does not."""
        found = self.verdict(number, probe)
        return found.title if found.status in CAUGHT else None


@pytest.fixture
def kernel_of(
    harness_session: Session, mutants: Callable[[str], Template]
) -> Callable[[str], Kernel]:
    """The kernel of a table."""

    def kernel(recipe: str) -> Kernel:
        return Kernel(harness_session, mutants(recipe), PARAMETERS[recipe])

    return kernel


def others(area: str, tried: str | None) -> list[Probe]:
    """All probes but one; the mutant's own area and the quick ones first."""
    rest = [probe for probe in PROBES.values() if probe.name != tried]
    return sorted(rest, key=lambda probe: (probe.area != area, probe.timeout, probe.name))


NAMED = sorted({(m["recipe"], m["caught_by"]) for m in TABLE if "caught_by" in m})


@pytest.mark.parametrize(("recipe", "probe"), NAMED)
def test_passes_without_a_mutant(
    recipe: str, probe: str, kernel_of: Callable[[str], Kernel]
) -> None:
    found = kernel_of(recipe).verdict(0, PROBES[probe])
    assert found.status is Status.PASS, found.text()


@pytest.mark.parametrize("mutant", TABLE, ids=lambda m: f"{m['recipe']}-{m['number']}-{m['name']}")
def test_caught(mutant: dict[str, Any], kernel_of: Callable[[str], Kernel]) -> None:
    number, named = mutant["number"], mutant.get("caught_by")
    kernel = kernel_of(mutant["recipe"])
    for _ in range(TRIES if named else 0):
        if kernel.reason(number, PROBES[str(named)]):
            return
    for probe in others(mutant["area"], named):
        why = kernel.reason(number, probe)
        if why:
            pytest.fail(f"mutant {number}: the table names {named}; {probe.name} caught it: {why}")
    pytest.fail(f"mutant {number} survives every probe: {mutant['wrong']}")
