# SPDX-License-Identifier: MIT
"""Finds the bits of page->flags of the kernel at hand.

The bits move with the config, and only a few are in vmcoreinfo. But /proc/kpageflags gives
each page's flags with stable numbers. Among pages that are not compound, the bit of
page->flags that agrees with a KPF bit on every page is the bit behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.core.errors import AuditError

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.verdict.auditable import Auditable
    from harness.verdict.vmcore import Pages

SAMPLES = "/tmp/.mte-frames"
# A page may change between the reading of /proc/kpageflags and that of struct page.
AGREE = 0.97


def find_bit(flags: npt.NDArray[np.uint64], stable: npt.NDArray[np.uint64], kpf: int) -> int:
    """Return the bit of ``flags`` that agrees with bit ``kpf`` of ``stable`` on each page.

    ``flags`` (page->flags) and ``stable`` (/proc/kpageflags) have one entry a page. Raise
    AuditError where no bit agrees, or more than one. KPF bits that are equal on each page
    (PG_mte_tagged and PG_mte_lock of tagged pages) have as many bits that agree with them,
    and both enumerations list these in the same order (include/linux/page-flags.h).
    """
    all_stable = (stable[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    wanted = all_stable[:, kpf]
    if not 0 < wanted.sum() < len(wanted):
        raise AuditError(f"no page, or every page, has KPF bit {kpf}: its flag cannot be found")
    bits = (flags[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    agreement = (bits == wanted[:, None]).mean(axis=0)
    found = np.flatnonzero(agreement >= AGREE).tolist()
    same = np.flatnonzero((all_stable == wanted[:, None]).all(axis=0)).tolist()
    if len(found) != len(same):
        raise AuditError(f"KPF bits {same} agree with bits {found} of page->flags")
    return int(found[same.index(kpf)])


class Samples:
    """Page frames with their kpageflags. Some are tagged pages of a helper, which keeps them."""

    def __init__(self, guest: Auditable) -> None:
        self._guest = guest
        done = guest.exec(
            f"frames samples > {SAMPLES} 2>&1 & pid=$!; "
            f"until grep -q done {SAMPLES} || ! kill -0 $pid; do sleep 0.02; done; "
            f"echo $pid; cat {SAMPLES}",
            phase="sampling page flags",
        )
        pid, *lines = done.stdout.splitlines()
        if not lines or lines[-1] != "done":
            self._guest.exec(f"kill {pid} 2>/dev/null", phase="ending the page samples")
            raise AuditError(f"the guest's page flags cannot be read: {done.stdout[-200:]}")
        self._pid = int(pid)
        table = np.array([[int(word, 16) for word in line.split()] for line in lines[:-1]])
        self.pfns = table[:, 0]
        self.stable = table[:, 1].astype(np.uint64)

    def bits(self, pages: Pages, wanted: dict[str, int]) -> dict[str, int]:
        """Return the bit of page->flags for each name in ``wanted``, whose values are KPF bits."""
        flags = pages.array["flags"][self.pfns - pages.first]
        return {name: find_bit(flags, self.stable, kpf) for name, kpf in wanted.items()}

    def close(self) -> None:
        """End the helper."""
        self._guest.exec(f"kill {self._pid}; rm -f {SAMPLES}", phase="ending the page samples")
