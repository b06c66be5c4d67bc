# SPDX-License-Identifier: MIT
"""A kernel that tags its own memory: KASAN's tests in each mode, and a user's tags beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core import ktap
from harness.core.paths import resources
from harness.suite.head_comment import discover
from harness.verdict.patterns import SplatKind
from harness.verdict.splat import find_splats
from tests.support.kunit import APPEND, run_kunit

if TYPE_CHECKING:
    from harness.suite.fixtures import Launcher

KASAN = "kasan-hw"
PROBES = {probe.name: probe for probe in discover(resources() / "guest" / "probes")}
# What copies or moves tags while the kernel itself accesses the pages.
MOVED = ["migrate_compact", "migrate_page", "swap_roundtrip", "cow_fork", "ptrace_peek"]
# kasan.write_only= is left out: it wants FEAT_MTE_STORE_ONLY, which QEMU 10.0 does not have.
MODES = ["sync", "async", "asymm"]
# Tests of KASAN that always fail on an unmodified 7.3.4. vmalloc_oob: __kasan_poison_vmalloc() of
# mm/kasan/hw_tags.c does nothing, so what vrealloc() cuts off stays accessible. kasan_strings:
# load_unaligned_zeropad(), with which strscpy() reads, turns checks off (TCO) where a fault may be
# asynchronous (asm/word-at-a-time.h).
KNOWN = {
    "sync": {"vmalloc_oob"},
    "async": {"vmalloc_oob", "kasan_strings"},
    "asymm": {"vmalloc_oob", "kasan_strings"},
}
# An object's neighbour has the same tag by chance, once in 14, and an overflow is not seen then.
RUNS = 4


@pytest.mark.parametrize("mode", MODES)
def test_kunit(mode: str, launch: Launcher) -> None:
    """Those of KNOWN fail in each run, and no others. When one passes, the kernel is mended."""
    with launch(KASAN, append=f"kasan.mode={mode} {APPEND}", excused=True) as guest:
        assert not find_splats(guest.console.text())
        texts = [run_kunit(guest, "kasan") for _ in range(RUNS)]
        splats = find_splats(guest.console.text())
    failed = [names(text, ktap.Outcome.FAIL) for text in texts]
    assert set.intersection(*failed) == KNOWN[mode], failed
    assert all(len(names(text, ktap.Outcome.PASS)) > 40 for text in texts), texts
    # A test that provokes a report passes only if there is one. The reports are splats here; of
    # so many the console drops lines, and one without its first line is an unexplained trace.
    assert {splat.kind for splat in splats} <= {SplatKind.KASAN, SplatKind.TRACE}
    assert len(splats) > 20 * RUNS


def names(text: str, outcome: ktap.Outcome) -> set[str]:
    """Return the names of KASAN's tests that ended so."""
    (suite,) = ktap.parse(text).results
    return {case.name for case in suite.subtests if case.outcome is outcome}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("probe", MOVED)
def test_tags_of_users_beside_the_kernels(mode: str, probe: str, launch: Launcher) -> None:
    with launch(KASAN, append=f"kasan.mode={mode}") as guest:
        launch.runner(guest)(PROBES[probe])
