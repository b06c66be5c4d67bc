# SPDX-License-Identifier: MIT
"""stress-ng's memory stressors run beside a program that knows each of its own bytes and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import stress
from tests.support.held_pressure import hold_and_complain

if TYPE_CHECKING:
    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

# On a kernel that checks itself, memory is full after minutes only; the stressors start
# with that, and there must be time to give storage back afterwards.
SECONDS = {"tag-storage": 30, "tag-storage-debug": 120}
# Small, so that the kernel need not kill anybody; what they do matters, not how much.
STRESSORS = {
    "map": ["--mmap", "1", "--mmap-bytes", "16M", "--mremap", "1", "--mremap-bytes", "8M"],
    "fill": ["--vm", "1", "--vm-bytes", "32M", "--vm-populate"],
    "processes": ["--fork", "1", "--vm-rw", "1", "--vm-rw-bytes", "8M", "--mlockmany", "1"],
    "files": ["--memfd", "1", "--memfd-bytes", "16M", "--shm", "1", "--shm-bytes", "8M"],
    "pipes": ["--vm-splice", "1", "--splice", "1", "--userfaultfd", "1"],
    "protect": ["--mprotect", "1", "--mlock", "1", "--msync", "1", "--mincore", "1"],
}  # fmt: skip


@pytest.mark.parametrize("kernel", SECONDS)
@pytest.mark.parametrize("kind", STRESSORS)
def test_stressors_beside_tags(
    kind: str, kernel: str, launch: Launcher, harness_session: Session
) -> None:
    """Nothing is wrong, nothing is said, and the stressors themselves do not fail."""
    seconds = SECONDS[kernel]
    with launch(kernel) as guest:
        stress.install(guest, harness_session)
        stress.start(guest, "--timeout", f"{seconds}s", "--oomable", *STRESSORS[kind])
        complaints = hold_and_complain(guest, harness_session.programs, seed=1, seconds=seconds)
        status, output = stress.finish(guest, 4 * seconds)
    assert complaints == []
    assert status == "0", output
    assert "successful run completed" in output, output
