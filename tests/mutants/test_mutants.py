# SPDX-License-Identifier: MIT
"""Each mutant of kernel-configs/mutants is caught by the probe that the table names.

One kernel holds them all and one template serves all: a clone is told its mutant
through the module parameter. A mutant without ``caught_by``, or whose probe passes,
is tried with every other probe, those of its own area first; the failure then says
which one caught it, or that none did.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from harness.paths import repository_root
from harness.probe.runner import run_source
from harness.probe.source import Probe, discover
from harness.target import parse_target
from harness.verdict.verdict import Status, Verdict

if TYPE_CHECKING:
    from harness.machine.template import Template
    from harness.session import Session

ROOT = repository_root()
PROBES = {probe.name: probe for probe in discover(ROOT / "guest" / "probes")}
TABLE: list[dict[str, Any]] = [
    mutant
    for mutant in tomllib.loads((ROOT / "kernel-configs" / "mutants" / "mutants.toml").read_text())[
        "mutant"
    ]
    if "equivalent" not in mutant
]
PARAMETER = "/sys/module/kernel/parameters/mte_mutant"


@pytest.fixture(scope="session")
def mutants(request: pytest.FixtureRequest, harness_session: Session) -> Template:
    """The saved guest of the kernel that holds them all."""
    return harness_session.prepare(parse_target("mutants", request.config.getoption("--machine")))


# Of some mutants it is chance what one run sees: which CPU a thread wakes on, say.
TRIES = 3
# A probe that could not run, or ran out of time on a busy host, has not caught anything.
CAUGHT = {Status.FAIL, Status.SPLAT, Status.LOST}


def verdict(session: Session, template: Template, number: int, probe: Probe) -> Verdict:
    """The verdict of ``probe`` on a clone with mutant ``number``; 0 is none."""
    with session.guest(template) as guest:
        done = guest.exec(f"echo {number} > {PARAMETER} && cat {PARAMETER}")
        assert done.stdout.strip() == str(number), done
        return run_source(
            guest, probe.path, (), session.programs, seconds=probe.timeout, speaks_ktap=True
        ).verdict


def reason(session: Session, template: Template, number: int, probe: Probe) -> str | None:
    """Why ``probe`` fails on mutant ``number``, in one line; None when it does not."""
    found = verdict(session, template, number, probe)
    return found.title if found.status in CAUGHT else None


def others(area: str, tried: str | None) -> list[Probe]:
    """All probes but one; the mutant's own area and the quick ones first."""
    rest = [probe for probe in PROBES.values() if probe.name != tried]
    return sorted(rest, key=lambda probe: (probe.area != area, probe.timeout, probe.name))


@pytest.mark.parametrize("probe", sorted({m["caught_by"] for m in TABLE if "caught_by" in m}))
def test_passes_without_a_mutant(probe: str, harness_session: Session, mutants: Template) -> None:
    found = verdict(harness_session, mutants, 0, PROBES[probe])
    assert found.status is Status.PASS, found.text()


@pytest.mark.parametrize("mutant", TABLE, ids=lambda m: f"{m['number']}-{m['name']}")
def test_caught(mutant: dict[str, Any], harness_session: Session, mutants: Template) -> None:
    number, named = mutant["number"], mutant.get("caught_by")
    for _ in range(TRIES if named else 0):
        if reason(harness_session, mutants, number, PROBES[str(named)]):
            return
    for probe in others(mutant["area"], named):
        why = reason(harness_session, mutants, number, probe)
        if why:
            pytest.fail(f"mutant {number}: the table names {named}; {probe.name} caught it: {why}")
    pytest.fail(f"mutant {number} survives every probe: {mutant['wrong']}")
