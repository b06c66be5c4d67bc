# SPDX-License-Identifier: MIT
"""The kernel's own tools/testing/selftests/arm64/mte, built from the same source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.kernel import Kernel
    from harness.suite.fixtures import Runner

# The slow one first (31 s of the 45 that all take, docs/facts/bugs.md 6).
PROGRAMS = (
    "check_gcr_el1_cswitch",
    "check_user_mem",
    "check_ksm_options",
    "check_child_memory",
    "check_buffer_fill",
    "check_mmap_options",
    "check_tags_inclusion",
    "check_prctl",
    "check_hugetlb_options",
)
# A program may skip itself only for a reason that is written here.
SKIPS = {
    # PROT_MTE on MAP_HUGETLB came with 25c17c4b55de ("hugetlb: arm64: add mte support", 6.13).
    "check_hugetlb_options": {"PROT_MTE on MAP_HUGETLB (6.13)": "PROT_MTE not supported"},
}


NO_SOURCE = "the kernel is an Image: the source of its selftests is not there"


@pytest.mark.parametrize("program", PROGRAMS)
def test_selftest(program: str, kernel: Kernel, run: Runner) -> None:
    if kernel.selftests is None:
        pytest.skip(NO_SOURCE)
    path = kernel.selftests / program
    if not path.exists():
        pytest.skip(f"{kernel.release} has no {program}")
    run(path, seconds=300, allowed_skips=SKIPS.get(program))


def test_no_selftest_is_left_out(kernel: Kernel) -> None:
    if kernel.selftests is None:
        pytest.skip(NO_SOURCE)
    built = {path.name for path in kernel.selftests.glob("check_*")}
    assert built <= set(PROGRAMS), f"not run: {sorted(built - set(PROGRAMS))}"
