# SPDX-License-Identifier: MIT
"""The kernel came up, clean, and with MTE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.verdict import taint
from harness.verdict.splat import find_splats

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.guest.template import Template


def test_boot_prints_no_splat(template: Template) -> None:
    splats = find_splats(template.console)
    assert not splats, "\n".join(splats[0].lines)


def test_boot_leaves_no_taint(guest: Guest) -> None:
    mask = int(guest.exec("cat /proc/sys/kernel/tainted").stdout)
    assert not mask, f"tainted: {', '.join(flag.meaning for flag in taint.decode(mask))}"


def test_every_cpu_has_mte(guest: Guest) -> None:
    features = guest.exec("grep ^Features /proc/cpuinfo").stdout.splitlines()
    assert len(features) == guest.template.spec.cpus
    assert all("mte" in line.split() for line in features), features[0]
