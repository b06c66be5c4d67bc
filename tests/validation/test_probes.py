# SPDX-License-Identifier: MIT
"""Every probe of guest/probes on every kernel, each in a fresh clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.paths import resources
from harness.suite.head_comment import Probe, discover

if TYPE_CHECKING:
    from harness.suite.fixtures import Runner

# The longest first: with -n 2 the short ones fill the gaps at the end.
# `-k smoke` and `-m smoke` run those of the short run.
PROBES = [
    pytest.param(probe, id=probe.name, marks=[pytest.mark.smoke] if probe.smoke else [])
    for probe in sorted(discover(resources() / "guest" / "probes"), key=lambda p: -p.timeout)
]


@pytest.mark.parametrize("probe", PROBES)
def test_probe(probe: Probe, run: Runner) -> None:
    run(probe)
