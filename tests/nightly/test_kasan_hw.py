# SPDX-License-Identifier: MIT
"""The kernel's own tags (KASAN_HW_TAGS): its KUnit tests, and users' tags beside them.

A kernel that uses tags itself switches GCR_EL1 at each entry and exit, reads TFSR_EL1 there
(arch/arm64/kernel/entry-common.c), and has pages whose tags are its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import resources
from harness.suite.head_comment import discover
from harness.verdict.splat import find_splats

if TYPE_CHECKING:
    from harness.suite.fixtures import Launcher

KERNEL = "kasan-hw"
MODES = ("sync", "async", "asymm")
# What depends on how the kernel enters, leaves, and uses memory with tags.
NAMES = (
    "async_attribution", "core_tags", "cow_fork", "fault_asymm", "fault_siginfo", "ksm_merge",
    "mode_gcr_switch", "mode_irg", "mode_tcf_switch", "signal_tco", "swap_roundtrip",
    "thread_async", "uaccess_copy", "uaccess_in", "uaccess_out", "zero_anon",
)  # fmt: skip
PROBES = {probe.name: probe for probe in discover(resources() / "guest" / "probes")}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_users_tags(name: str, mode: str, launch: Launcher) -> None:
    with launch(KERNEL, append=f"kasan.mode={mode}") as guest:
        said = guest.exec("dmesg | grep 'kasan: KernelAddressSanitizer initialized'").stdout
        assert f"hw-tags, mode={mode}" in said, said
        launch.runner(guest)(PROBES[name])


def test_the_kernels_own_tests(launch: Launcher) -> None:
    with launch(KERNEL, append="kunit.enable=1") as guest:
        done = guest.exec(
            "mount -t debugfs none /sys/kernel/debug 2>/dev/null; "
            "cat /sys/kernel/debug/kunit/kasan/results; dmesg"
        )
    totals = re.search(r"# Totals: pass:(\d+) fail:(\d+) skip:\d+ total:(\d+)", done.stdout)
    assert totals, done.stdout
    assert int(totals[2]) == 0, done.stdout
    assert int(totals[1]) > 30, done.stdout
    # Each of these tests makes KASAN report: the patterns for splats know such a report.
    titles = {splat.title for splat in find_splats(done.stdout)}
    assert any("KASAN: slab-out-of-bounds" in title for title in titles), titles
    assert any("KASAN: slab-use-after-free" in title for title in titles), titles
