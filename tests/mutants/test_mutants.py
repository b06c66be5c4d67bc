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


def reason(session: Session, template: Template, number: int, probe: Probe) -> str | None:
    """Why ``probe`` fails on mutant ``number``, in one line; None when it passes."""
    with session.guest(template) as guest:
        done = guest.exec(f"echo {number} > {PARAMETER} && cat {PARAMETER}")
        assert done.stdout.strip() == str(number), done
        run = run_source(
            guest, probe.path, (), session.programs, seconds=probe.timeout, speaks_ktap=True
        )
    return None if run.verdict.status.good else run.verdict.title


def others(area: str, tried: str | None) -> list[Probe]:
    """All probes but one; the mutant's own area and the quick ones first."""
    rest = [probe for probe in PROBES.values() if probe.name != tried]
    return sorted(rest, key=lambda probe: (probe.area != area, probe.timeout, probe.name))


@pytest.mark.parametrize("mutant", TABLE, ids=lambda m: f"{m['number']}-{m['name']}")
def test_caught(mutant: dict[str, Any], harness_session: Session, mutants: Template) -> None:
    number, named = mutant["number"], mutant.get("caught_by")
    if named and reason(harness_session, mutants, number, PROBES[named]):
        return
    for probe in others(mutant["area"], named):
        why = reason(harness_session, mutants, number, probe)
        if why:
            pytest.fail(f"mutant {number}: the table names {named}; {probe.name} caught it: {why}")
    pytest.fail(f"mutant {number} survives every probe: {mutant['wrong']}")
