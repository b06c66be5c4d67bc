# SPDX-License-Identifier: MIT
"""What only the auditor sees: a probe that knows nothing of tag storage leaves some behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.paths import resources
from harness.suite.gather import run_probe
from harness.suite.head_comment import discover
from harness.suite.target import parse_target
from harness.verdict.judge import Status

if TYPE_CHECKING:
    from harness.suite.session import Session

LEAK = 5  # kernel-configs/reuse-mutants: the blocks of a large folio are not given back


def test_a_leaked_block_fails_any_probe(harness_session: Session) -> None:
    probes = {probe.name: probe for probe in discover(resources() / "guest" / "probes")}
    probe = probes["thp_fresh"]
    target = parse_target("reuse-mutants", None)
    kernel = harness_session.kernel(target.kernel)
    for number, status in ((0, Status.PASS), (LEAK, Status.FAIL)):
        template = harness_session.template(kernel, target.machine, f"metadata_mutant={number}")
        with harness_session.guest(template) as guest:
            found = run_probe(guest, probe, harness_session.programs).verdict
        assert found.status is status, found.text()
        assert ("reserved for no page" in found.text()) == (number == LEAK)
