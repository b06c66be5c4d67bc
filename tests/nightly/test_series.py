# SPDX-License-Identifier: MIT
"""The series on a kernel that checks itself: lockdep, DEBUG_VM, DEBUG_ATOMIC_SLEEP, KUnit.

Such a kernel takes long to build and to run, so this is for a nightly job:
``pytest --qemu tests/nightly``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.paths import resources
from harness.suite.head_comment import Probe, discover
from tests.support.kunit import APPEND, run_kunit

if TYPE_CHECKING:
    from harness.suite.fixtures import Launcher

DEBUG = ["tag-storage-debug", "tag-storage-7.3-debug"]
PROBES = [
    probe
    for probe in discover(resources() / "guest" / "probes")
    if probe.area in {"swap", "thp", "migrate", "pressure", "reuse", "copy"}
]


@pytest.mark.parametrize("kernel", DEBUG)
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_no_complaint(kernel: str, probe: Probe, launch: Launcher) -> None:
    """The probe passes, and the kernel has nothing to say of itself."""
    with launch(kernel) as guest:
        launch.runner(guest)(probe)


@pytest.mark.parametrize("kernel", DEBUG)
def test_kunit(kernel: str, launch: Launcher) -> None:
    with launch(kernel, append=APPEND) as guest:
        text = run_kunit(guest, "mte_tag_storage")
    assert "ok 1 test_one_page" in text, text
    assert "not ok" not in text, text
    assert "# Totals: pass:7 fail:0 skip:0 total:7" in text, text
