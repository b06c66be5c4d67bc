# SPDX-License-Identifier: MIT
"""Known kernel bugs: each program of guest/findings still shows its bug.

A finding is a probe that fails on an unmodified kernel; docs/findings/ has the
write-up. On the releases named here the bug must show: when it no longer does,
the test fails, so that the finding is closed and not forgotten. On another
kernel it is reported: shown (xfail) or gone (pass).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.ktap import Outcome
from harness.core.paths import resources
from harness.suite import collect as recording
from harness.suite.gather import missing_needs, run_source
from harness.suite.head_comment import Probe, discover

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.kernel import Kernel
    from harness.suite.session import Session

FINDINGS = discover(resources() / "guest" / "findings")
AFFECTED = ("6.12.117",)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_known_bug(
    finding: Probe,
    guest: Guest,
    kernel: Kernel,
    harness_session: Session,
    request: pytest.FixtureRequest,
) -> None:
    recording.excuse(request.node)  # a finding may well be a splat
    if missing := missing_needs(finding, kernel):
        pytest.skip(f"kernel {kernel.name} has no {' '.join(missing)}")
    run = run_source(
        guest, finding.path, (), harness_session.programs,
        seconds=finding.timeout, speaks_ktap=True,
    )  # fmt: skip
    document = run.verdict.evidence.document
    assert document is not None
    shown = [result.name for result in document.results if result.outcome is Outcome.FAIL]
    if shown:
        page = f"docs/findings/{finding.name.replace('_', '-')}.md"
        pytest.xfail(f"known kernel bug ({', '.join(shown)}): {page}")
    assert run.verdict.status.good, run.verdict.text()
    assert kernel.release not in AFFECTED or kernel.name != "stock", (
        f"{finding.name} no longer shows on {kernel.release}: close the finding"
    )
