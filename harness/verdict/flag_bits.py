# SPDX-License-Identifier: MIT
"""Which bit of page->flags is which, for the kernel at hand.

The bits move with the config, and only a few are in vmcoreinfo. But the kernel tells
page by page, in /proc/kpageflags with its stable numbers, what it sees: among pages
that are not compound, the one bit of page->flags that is always the same as the KPF_
bit is the one behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.core.errors import AuditError

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.guest.guest import Guest
    from harness.verdict.vmcore import Pages

# include/uapi/linux/kernel-page-flags.h and include/linux/kernel-page-flags.h
KPF_RESERVED = 32
KPF_ARCH_2 = 41  # PG_arch_2, which arm64 calls PG_mte_tagged (arch/arm64/include/asm/mte.h)
KPF_ARCH_4 = 43  # PG_arch_4 of our series: the page holds its tag storage
SAMPLES = "/tmp/.mte-frames"
# A page may change between the kernel's answer and ours.
AGREE = 0.97


def find_bit(flags: npt.NDArray[np.uint64], stable: npt.NDArray[np.uint64], kpf: int) -> int:
    """The bit of ``flags`` that goes with bit ``kpf`` of ``stable``, page by page.

    AuditError where none does, or more than one. Where KPF bits cannot be told apart
    (each tagged page has both PG_mte_tagged and PG_mte_lock), as many bits go with them,
    and both enumerations have them in one order (include/linux/page-flags.h).
    """
    all_stable = (stable[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    wanted = all_stable[:, kpf]
    if not 0 < wanted.sum() < len(wanted):
        raise AuditError(f"no page, or every page, has KPF bit {kpf}: its flag cannot be told")
    bits = (flags[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    agreement = (bits == wanted[:, None]).mean(axis=0)
    found = np.flatnonzero(agreement >= AGREE).tolist()
    same = np.flatnonzero((all_stable == wanted[:, None]).all(axis=0)).tolist()
    if len(found) != len(same):
        raise AuditError(f"KPF bits {same} go with bits {found} of page->flags")
    return int(found[same.index(kpf)])


class Samples:
    """Frames with their kpageflags; some are tagged pages of a helper that lives as long."""

    def __init__(self, guest: Guest) -> None:
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
        """For each name in ``wanted`` (a KPF bit), the bit of page->flags."""
        flags = pages.array["flags"][self.pfns - pages.first]
        return {name: find_bit(flags, self.stable, kpf) for name, kpf in wanted.items()}

    def close(self) -> None:
        """Ends the helper."""
        self._guest.exec(f"kill {self._pid}; rm -f {SAMPLES}", phase="ending the page samples")
