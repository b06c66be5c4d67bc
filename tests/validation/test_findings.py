# SPDX-License-Identifier: MIT
"""Known kernel bugs: each program of guest/findings still shows its bug.

A finding is a probe that fails on an unmodified kernel; docs/findings/ has the
write-up. On the recipes named here, Debian's newest source of a release, the bug must
show: when it no longer does, the test fails, so that the finding is closed and not
forgotten. On another kernel it is reported: shown (xfail) or gone (pass).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.paths import resources
from harness.suite.head_comment import Probe, discover
from harness.verdict.result import Status

if TYPE_CHECKING:
    from harness.kernel import Kernel
    from harness.suite.fixtures import Runner

FINDINGS = discover(resources() / "guest" / "findings")
AFFECTED = ("stock", "stock-6.12")


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_known_bug(finding: Probe, kernel: Kernel, run: Runner) -> None:
    page = f"docs/findings/{finding.name.replace('_', '-')}.md"
    result = run(finding, known_bug=page)
    if result.status is Status.SKIP:
        pytest.xfail(result.title)
    assert kernel.name not in AFFECTED, (
        f"{finding.name} no longer shows on {kernel.release}: close the finding"
    )
