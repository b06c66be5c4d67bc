# SPDX-License-Identifier: MIT
"""What only the auditor sees: a probe that knows nothing of tag storage leaves some behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.paths import resources
from harness.suite.gather import run_program
from harness.suite.head_comment import discover
from harness.suite.program import probe_program
from harness.verdict.result import Status
from harness.vm.geometry import PAGE

if TYPE_CHECKING:
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

LEAK = 5  # kernel-configs/reuse-mutants: the blocks of a large folio are not given back


def test_a_leaked_block_fails_any_probe(launch: Launcher, harness_session: Session) -> None:
    probes = {probe.name: probe for probe in discover(resources() / "guest" / "probes")}
    program = probe_program(probes["thp_fresh"], harness_session.programs, PAGE)
    for number, status in ((0, Status.PASS), (LEAK, Status.FAIL)):
        append = f"metadata_mutant={number}"
        with launch("reuse-mutants", append=append, excused=True) as guest:
            found = run_program(guest, program)
        assert found.status is status, found.text()
        assert ("reserved for no page" in found.text()) == (number == LEAK)
