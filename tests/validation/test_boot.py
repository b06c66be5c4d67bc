# SPDX-License-Identifier: MIT
"""The kernel came up, clean, and with MTE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.guest.board import Board
from harness.verdict import taint
from harness.verdict.splat import find_splats

if TYPE_CHECKING:
    from harness.guest.system import System
    from harness.guest.testbed import Testbed


def require_own_boot(template: Testbed) -> None:
    """Skip a test of the boot where somebody else booted: on a board."""
    if isinstance(template, Board):
        pytest.skip("the board was up before, and its boot is not judged")


def test_boot_prints_no_splat(template: Testbed) -> None:
    require_own_boot(template)
    splats = find_splats(template.console)
    assert not splats, "\n".join(splats[0].lines)


def test_boot_leaves_no_taint(guest: System) -> None:
    require_own_boot(guest.template)
    mask = int(guest.exec("cat /proc/sys/kernel/tainted").stdout)
    assert not mask, f"tainted: {', '.join(flag.meaning for flag in taint.decode(mask))}"


def test_every_cpu_has_mte(guest: System) -> None:
    features = guest.exec("grep ^Features /proc/cpuinfo").stdout.splitlines()
    assert len(features) == guest.template.spec.cpus
    assert all("mte" in line.split() for line in features), features[0]
