# SPDX-License-Identifier: MIT
"""Run the pressure program with --hold, and compute the tags that DRAM must then have.

The program (guest/probes/pressure/) derives each byte and tag of a page from its address
and generation. Its table has the page frame of each page; the tags that DRAM must have for
that frame are computed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.audit.audit import Expected
from harness.core.pattern import page_pattern_tags
from harness.errors import HarnessError
from harness.paths import repository_root
from harness.probe.compile import PROBE_FLAGS, compile_program

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.guest.guest import Guest
    from harness.store import Store

SOURCE = repository_root() / "guest" / "probes" / "pressure" / "pressure.c"
OUTPUT = "/tmp/pressure.out"
# struct record of guest/probes/pressure/pressure/host.c
RECORD = np.dtype(
    [
        ("address", "<u8"),
        ("pfn", "<u8"),
        ("generation", "<u4"),
        ("flags", "<u4"),
        ("check", "<u8"),
    ]
)
TAGGED, WRONG_TAGS, WRONG_DATA = 1, 2, 4


def storage_bytes(
    addresses: npt.NDArray[np.uint64], generations: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint8]:
    """Return the tag storage that pages of the pressure probe must have, shape (n, 128)."""
    tags = page_pattern_tags(addresses, generations)
    packed: npt.NDArray[np.uint8] = tags[:, 0::2] | (tags[:, 1::2] << np.uint8(4))
    return packed


@dataclass(frozen=True)
class Held:
    """A run that has ended its work and keeps its memory. ``output`` is what it printed.

    ``in_storage`` is how many pages of data it saw in tag storage, each as often as it was
    filled or checked there.
    """

    pid: int
    records: npt.NDArray[np.void]
    damaged: int
    in_storage: int
    output: str

    def frames(self, flag: int = 0) -> frozenset[int]:
        """The page frames whose record has ``flag``; all of them for 0."""
        rows = self.records[self.records["flags"] & flag == flag]
        return frozenset(rows["pfn"].tolist())

    def expected(self) -> Expected:
        """The tags of all its tagged pages."""
        rows = self.records[self.records["flags"] & TAGGED == TAGGED]
        return Expected(
            rows["pfn"].astype(np.int64),
            storage_bytes(rows["address"], rows["generation"].astype(np.uint64)),
        )


def hold_pressure(guest: Guest, programs: Store, *, seed: int, seconds: int) -> Held:
    """Runs the program for ``seconds`` and reads its table out of DRAM, once it holds.

    Raises HarnessError when it ends instead, with what it said.
    """
    guest.push(compile_program(programs, [SOURCE], PROBE_FLAGS), SOURCE.stem)
    regions = " ".join(
        f"--tags {r.base:#x}:{r.size:#x}:{r.storage:#x}" for r in guest.template.spec.tags
    )
    done = guest.exec(
        f"./{SOURCE.stem} --seed {seed} --seconds {seconds} {regions} --hold > {OUTPUT} 2>&1 & "
        f"pid=$!; until grep -q '^# hold' {OUTPUT} || ! kill -0 $pid 2>/dev/null; "
        f"do sleep 0.2; done; cat {OUTPUT}",
        # Against a hang only: with lockdep and stress-ng beside it, 30 s have taken 250.
        timeout=8 * seconds + 360,
        phase="memory under pressure",
    )
    match = re.search(
        r"^# (\d+) pages of data seen in tag storage\n# hold (\d+) (0x[0-9a-f]+) (\d+)$",
        done.stdout,
        re.MULTILINE,
    )
    if match is None:
        said = guest.exec(f"cat {OUTPUT}").stdout
        how = "ended" if done.status == 0 else f"does not hold after {done.seconds:.0f} s"
        raise HarnessError(f"the pressure program {how}", f"pressure --seed {seed} --hold", said)
    seen, pid, address, count = (int(number, 0) for number in match.groups())
    records = np.frombuffer(guest.memory(pid, address, count * RECORD.itemsize), RECORD)
    good = records["check"] == (
        records["address"]
        ^ records["pfn"] << np.uint64(1)
        ^ records["generation"].astype(np.uint64) << np.uint64(32)
        ^ records["flags"]
    )
    return Held(pid, records[good], int((~good).sum()), seen, done.stdout)
