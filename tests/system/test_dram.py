# SPDX-License-Identifier: MIT
"""Tags in DRAM: read from the host, audited, and corrupted by a kernel unaware of them.

The corruption is the reason for the machine, and stays a test: if a kernel that uses tag storage
as ordinary memory ever passed an audit here, no other kernel's clean audit would mean anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.core.cross import compile_program, probe_flags
from harness.core.errors import HarnessError, UsageError
from harness.core.paths import cache_root, resources
from harness.guest.kpageflags import MTE_TAGGED
from harness.measure.pressure import TAGGED, WRONG_DATA, WRONG_TAGS, Held, hold_pressure
from harness.suite.gather import run_program
from harness.suite.program import file_program
from harness.verdict.audit import Audit, audit, learn
from harness.verdict.audit_rules import Expected
from harness.verdict.finding import FindingKind
from harness.verdict.result import Status
from harness.vm.geometry import PAGE
from tests.support.few import few

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from harness.guest.guest import Guest
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

PROGRAMS = resources() / "tests" / "system" / "programs"
ATTEMPTS = 3
TAGS = bytes((i * 7 + 3) & 15 for i in range(256))


@pytest.fixture
def start(launch: Launcher) -> Callable[[str], Guest]:
    """Return what launches a clone of ``stock`` on the machine of a name."""
    # A kernel unaware of tag storage corrupts its own memory: a splat there is no surprise.
    return lambda name: launch("stock", name, excused=name.endswith("unaware"))


def leave(guest: Guest, session: Session, name: str) -> list[int]:
    """Start one of ``programs/``, leave it running, and return the numbers that it printed."""
    source = PROGRAMS / f"{name}.c"
    guest.push(compile_program(session.programs, [source], probe_flags(PAGE)), name)
    done = guest.exec(
        f"./{name} > {name}.out 2>&1 & until [ -s {name}.out ]; do sleep 0.02; done; cat {name}.out"
    )
    return [int(word, 0) for word in done.stdout.split()]


def tagged_page(guest: Guest, session: Session) -> tuple[int, int, int]:
    """Process, address and frame of a page whose tags are ``TAGS``."""
    pid, address = leave(guest, session, "tagged_page")
    (frame,) = guest.frames(pid, address, 1)
    assert frame.pfn is not None
    return pid, address, frame.pfn


@pytest.mark.parametrize("name", ["dram", "dram-two-regions/carveout"])
def test_host_and_guest_see_the_same_tags(
    name: str, start: Callable[[str], Guest], harness_session: Session
) -> None:
    guest = start(name)
    pid, address, pfn = tagged_page(guest, harness_session)
    assert guest.dram.tags(pfn) == TAGS
    assert guest.memory(pid, address, PAGE) == b"\x5a" * PAGE
    guest.dram.write(guest.dram.storage_address(pfn), b"\x21\x43")
    done = guest.exec(
        f"kill -USR1 {pid}; while kill -0 {pid} 2>/dev/null; do :; done; cat tagged_page.out"
    )
    assert done.stdout.splitlines()[1] == "1234" + TAGS.hex()[1::2][4:]


@pytest.mark.parametrize(
    ("name", "status"), [("dram/carveout", Status.PASS), ("dram/unaware", Status.FAIL)]
)
def test_each_program_is_followed_by_an_audit(
    name: str, status: Status, start: Callable[[str], Guest], harness_session: Session
) -> None:
    """One that passes does not, where pages with tags have lost their storage to others' data."""
    guest = start(name)
    leave(guest, harness_session, "hog")
    programs = harness_session.programs
    result = run_program(
        guest, file_program(PROGRAMS / "pass.c", programs, page_size=PAGE, seconds=60)
    )
    assert result.status is status, result.text()
    assert ("its storage is in use for data" in result.text()) == (status is Status.FAIL)
    kinds = {finding.kind for finding in result.findings}
    assert (FindingKind.STORAGE_IN_USE in kinds) == (status is Status.FAIL)
    assert "audit" in result.phases


def test_a_person_sees_tags(
    start: Callable[[str], Guest],
    harness_session: Session,
    cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    guest = start("dram")
    pid, address, pfn = tagged_page(guest, harness_session)
    guests = cache_root() / "guests"
    with guest.reachable(guests) as handle:
        done = cli("tags", str(handle.pid), str(pid), hex(address + 0x28 + (5 << 56)))
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        storage = 0x78000000 + (pfn * PAGE - 0x40000000) // 32
        assert lines[0] == f"page {address:#x}: frame {pfn:#x}, tags at {storage:#x}"
        assert "mte_tagged" in lines[1]
        assert "pointer has tag 5, its granule 1: a checked access faults" in lines[2]
        assert "> 0x020   1   5a5a5a5a 5a5a5a5a 5a5a5a5a 5a5a5a5a  |ZZZZZZZZZZZZZZZZ|" in lines
        gone = cli("tags", "1", str(pid), hex(address))
        assert gone.returncode == UsageError.status
        assert str(handle.pid) in gone.stderr
    assert not handle.directory.exists()


def test_a_clone_has_dram_of_its_own(
    start: Callable[[str], Guest], harness_session: Session
) -> None:
    one, two = start("dram"), start("dram")
    _, _, pfn = tagged_page(one, harness_session)
    assert one.dram.tags(pfn) == TAGS
    assert two.dram.tags(pfn) != TAGS


def test_the_emulator_has_no_view(start: Callable[[str], Guest]) -> None:
    with pytest.raises(UsageError, match="cannot see tags"):
        _ = start("emulator").dram


def expect(pfn: int) -> Expected:
    packed = bytes(low | high << 4 for low, high in zip(TAGS[::2], TAGS[1::2], strict=True))
    return Expected(np.array([pfn]), np.frombuffer(packed, np.uint8)[None, :])


def test_auditor_compares_tags(start: Callable[[str], Guest], harness_session: Session) -> None:
    guest = start("dram")
    _, _, pfn = tagged_page(guest, harness_session)
    assert audit(guest, expect(pfn)).text().endswith("consistent")
    guest.dram.write(guest.dram.storage_address(pfn) + 5, b"\xff")
    found = audit(guest, expect(pfn))
    assert not found.clean
    assert found.frames(FindingKind.TAGS_WRONG) == {pfn}
    assert "first at offset 0xa0: expected 0x9, saw 0xf" in found.text()


def test_auditor_misses_the_flag_of_an_untagged_page(
    start: Callable[[str], Guest], harness_session: Session
) -> None:
    guest = start("dram")
    _, _, pfn = tagged_page(guest, harness_session)
    free = next(x for x in reversed(guest.dram.frames) if x not in {pfn})
    assert audit(guest, expect(free)).frames(FindingKind.NOT_TAGGED) == {free}


def under_pressure(guest: Guest, session: Session) -> tuple[Held, Audit]:
    learn(guest)  # takes memory in the guest, which must not count as the program's
    held = hold_pressure(guest, session.programs, seed=1, seconds=4)
    return held, audit(guest, held.expected())


def test_auditor_sees_the_pages_of_a_huge_page(
    start: Callable[[str], Guest], harness_session: Session
) -> None:
    """/proc/kpageflags gives the head's flags for each of them instead."""
    guest = start("dram")
    pid, address, which = leave(guest, harness_session, "partly_tagged")
    frames = guest.frames(pid, address, which + 1)
    pfns = [frame.pfn for frame in frames if frame.pfn is not None]
    assert pfns == list(range(pfns[0], pfns[0] + which + 1)), "no huge page"
    assert not any((frame.flags or 0) >> MTE_TAGGED & 1 for frame in frames)
    storage = np.zeros((which + 1, 128), np.uint8)
    storage[which, 1] = 9 << 4
    found = audit(guest, Expected(np.array(pfns), storage))
    assert found.frames(FindingKind.NOT_TAGGED) == set(pfns[:which])
    assert not found.frames(FindingKind.TAGS_WRONG)


@pytest.mark.parametrize("name", ["dram", "dram-two-regions/carveout"])
def test_a_kernel_that_leaves_tag_storage_alone_is_consistent(
    name: str, start: Callable[[str], Guest], harness_session: Session
) -> None:
    guest = start(name)
    held, found = under_pressure(guest, harness_session)
    assert not held.damaged
    assert few(held.frames(WRONG_TAGS) | held.frames(WRONG_DATA)) == []
    assert few(held.frames() & guest.dram.storage_frames()) == []
    assert held.in_storage == 0
    text = found.text()
    assert "consistent" in text
    assert (found.tagged >= found.expected, found.expected > 10_000) == (True, True), text


def test_a_kernel_unaware_of_tag_storage_corrupts_memory(
    start: Callable[[str], Guest], harness_session: Session
) -> None:
    # Once in eight runs (2026-11-29) a HarnessError was raised instead, whose text is not
    # kept. A guess at the cause: the corrupted memory was the program's own or the kernel's,
    # so that there was no table to compare. Another clone is tried, up to ATTEMPTS.
    for attempt in range(ATTEMPTS):
        guest = start("dram/unaware")
        try:
            held, found = under_pressure(guest, harness_session)
        except HarnessError as error:
            print(error, error.details, sep="\n")
            if attempt == ATTEMPTS - 1:
                raise
        else:
            break
    print(held.output, found.text(), sep="\n")
    assert held.in_storage > 0
    wrong_tags, wrong_data = held.frames(WRONG_TAGS), held.frames(WRONG_DATA)
    assert few(wrong_tags), "no tag was destroyed by data"
    assert few(wrong_data), "no data were destroyed by tags"
    # Where a page's storage is another page of the program, the auditor reports that
    # storage as in use, and either the tags or the data of the two are wrong.
    ours = held.frames()
    storage = {pfn: guest.dram.storage_address(pfn) // PAGE for pfn in held.frames(TAGGED)}
    pairs = {(pfn, holder) for pfn, holder in storage.items() if holder in ours}
    assert len(pairs) > 0
    # The program reads tags with LDG, the host reads DRAM: they agree on pages that did
    # not change in between. Pages of the program's table, and of the kernel, do change.
    still = {pfn for pfn, _ in pairs}
    assert few((found.frames(FindingKind.TAGS_WRONG) ^ wrong_tags) & still) == []
    in_use = found.frames(FindingKind.STORAGE_IN_USE)
    assert few(pfn for pfn, _ in pairs if pfn not in in_use) == []
    assert few(p for p, h in pairs if p not in wrong_tags and h not in wrong_data) == []
    # Data are wrong in tag storage only.
    assert few(wrong_data - guest.dram.storage_frames()) == []
