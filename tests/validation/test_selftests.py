# SPDX-License-Identifier: MIT
"""The kernel's own tools/testing/selftests/arm64/mte, built from the same source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.cross import PAGE_SIZES
from harness.core.errors import SourceError
from harness.kernel.releases import parse_release
from harness.suite.program import Program, PushedFile

if TYPE_CHECKING:
    from collections.abc import Mapping
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
# check_prctl.c of 6.18.15 plans ARRAY_SIZE(mte_modes) results and gives one more; that of 7.2.12
# plans them all. The modes that are listed there came with FEAT_MTE_STORE_ONLY, in 6.17.
WRONG_PLAN = {"check_prctl": ((6, 17), (7, 2))}
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


def selftest(path: Path, allowed_skips: Mapping[str, str]) -> Program:
    """Return the program of a selftest, after the version line of TAP.

    Most of 6.18.15 print none. Those of other releases print it again, which changes nothing.
    """
    line = f"echo 'TAP version 13'; ./{path.name}"
    file = PushedFile(path, path.name)
    return Program(line, 300, speaks_ktap=True, files=(file,), allowed_skips=allowed_skips)


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
    if program == "check_hugetlb_options" and kernel.page_size == PAGE_SIZES[-1]:
        pytest.skip("the guest has no room for huge pages of 512 MiB, those of 64 KiB pages")
    release = parse_release(kernel.release)
    since, until = WRONG_PLAN.get(program, (release, release))
    if since <= release < until:
        pytest.skip(f"{program} of {kernel.release} plans fewer results than it gives")
    skips = explained_skips(program, release, harness_session.cpu_features(machine))
    run(selftest(path, skips))


def test_other_selftests(selftests: Path, run: Runner) -> None:
    """A tree may have selftests that are not known here: newer ones, or those of a patch."""
    others = sorted(path for path in selftests.glob("check_*") if path.name not in PROGRAMS)
    for path in others:
        run(selftest(path, {f"a case of {path.name} skips itself": "."}))
