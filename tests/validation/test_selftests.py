# SPDX-License-Identifier: MIT
"""The kernel's own tools/testing/selftests/arm64/mte, built from the same source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import SourceError
from harness.kernel.releases import parse_release

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel import Kernel
    from harness.suite.fixtures import Runner
    from harness.suite.session import Session
    from harness.vm.spec import MachineSpec

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
# PROT_MTE on MAP_HUGETLB came with 25c17c4b55de ("hugetlb: arm64: add mte support").
HUGETLB = (6, 13)


def explained_skips(
    program: str, release: tuple[int, int], features: frozenset[str]
) -> dict[str, str]:
    """Return what may make ``program`` skip on this kernel and CPU, each with a pattern.

    ``features`` are the CPU's, not those that the kernel shows: a kernel that hides one is wrong.
    """
    found = {}
    if program == "check_hugetlb_options" and release < HUGETLB:
        found["hugetlb has no MTE before 6.13"] = "PROT_MTE not supported"
    if "mtestoreonly" not in features:
        # check_prctl.c: SYNC+STONLY; check_mmap_options.c: "... / store-only)".
        found["the CPU has no FEAT_MTE_STORE_ONLY"] = r"STONLY$|/ store-only\)$"
    if "mtefar" not in features:
        found["the CPU has no FEAT_MTE_TAGGED_FAR"] = r"\(with address tag \[63:60\]"
    return found


@pytest.fixture(scope="session")
def selftests(kernel: Kernel, harness_session: Session) -> Path:
    """Return the directory of the selftests; a kernel whose source cannot be had has none."""
    try:
        return harness_session.selftests(kernel)
    except SourceError as error:
        pytest.skip(error.cause)


@pytest.mark.parametrize("program", PROGRAMS)
def test_selftest(
    program: str,
    kernel: Kernel,
    selftests: Path,
    run: Runner,
    machine: MachineSpec,
    harness_session: Session,
) -> None:
    path = selftests / program
    if not path.exists():
        pytest.skip(f"{kernel.release} has no {program}")
    features = harness_session.cpu_features(machine)
    skips = explained_skips(program, parse_release(kernel.release), features)
    run(path, seconds=300, allowed_skips=skips)


def test_no_selftest_is_left_out(selftests: Path) -> None:
    built = {path.name for path in selftests.glob("check_*")}
    assert built <= set(PROGRAMS), f"not run: {sorted(built - set(PROGRAMS))}"
