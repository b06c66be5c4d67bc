# SPDX-License-Identifier: MIT
"""Known kernel bugs: each finding of the catalogue still shows its bug.

A finding is a probe that fails on an unmodified kernel; docs/findings/ has the
write-up, guest/bugs/ the program. On the recipes that have it by the catalogue the bug must
show: when it no longer does, the test fails, so that the finding is closed and not
forgotten. On a kernel whose recipe claims a cure ([cures] of kernel.toml) it is a test like any
other. On another kernel it is reported: shown (xfail) or gone (pass).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.bugs.catalogue import Bug, catalogue
from harness.suite.head_comment import read
from harness.verdict.result import Status

if TYPE_CHECKING:
    from harness.kernel import Kernel
    from harness.suite.fixtures import Runner

FINDINGS = [bug for bug in catalogue() if bug.finding]


def page_of(finding: Bug) -> str:
    """Return the name of a finding as recipes have it."""
    return Path(finding.finding).stem


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda bug: read(bug.source).name)
def test_known_bug(finding: Bug, kernel: Kernel, run: Runner) -> None:
    # A misspelled cure would leave its finding a known bug.
    assert kernel.cures <= {page_of(known) for known in FINDINGS}
    if page_of(finding) in kernel.cures:
        run(read(finding.source))
        return
    result = run(read(finding.source), known_bug=finding.finding)
    if result.status is Status.SKIP:
        pytest.xfail(result.title)
    assert kernel.name not in {on.kernel for on in finding.has}, (
        f"{finding.name} no longer shows on {kernel.release}: close the finding"
    )
