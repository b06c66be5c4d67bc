# SPDX-License-Identifier: MIT
"""The series on a kernel that checks itself: lockdep, DEBUG_VM, DEBUG_ATOMIC_SLEEP, KUnit.

Such a kernel takes long to build and to run, so this is for a nightly job:
``pytest --qemu tests/nightly``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.paths import repository_root
from harness.probe.runner import run_probe
from harness.probe.source import Probe, discover
from harness.target import parse_target
from harness.verdict.verdict import Status

if TYPE_CHECKING:
    from harness.session import Session

DEBUG = "tag-storage-debug"
PROBES = [
    probe
    for probe in discover(repository_root() / "guest" / "probes")
    if probe.smoke or probe.area == "reuse"
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_no_complaint(probe: Probe, harness_session: Session) -> None:
    """The probe passes, and the kernel has nothing to say of itself."""
    template = harness_session.prepare(parse_target(DEBUG, None))
    with harness_session.guest(template) as guest:
        found = run_probe(guest, probe, harness_session.programs).verdict
    assert found.status is Status.PASS, found.text()


def test_kunit(harness_session: Session) -> None:
    target = parse_target(DEBUG, None)
    kernel = harness_session.kernel(target.kernel)
    template = harness_session.template(kernel, target.machine, "kunit.enable=1")
    with harness_session.guest(template) as guest:
        done = guest.exec(
            "mount -t debugfs none /sys/kernel/debug 2>/dev/null; "
            "cat /sys/kernel/debug/kunit/mte_tag_storage/results"
        )
    assert "ok 1 test_one_page" in done.stdout, done
    assert "not ok" not in done.stdout, done.stdout
    assert "# Totals: pass:7 fail:0 skip:0 total:7" in done.stdout, done.stdout
