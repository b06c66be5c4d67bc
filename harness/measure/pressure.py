# SPDX-License-Identifier: MIT
"""The pressure program, stopped at the end of its run, and the tags that DRAM must then hold.

The program (guest/probes/pressure/) derives each byte and tag from a page's address and
generation. The table that it writes has the frame of each page; this module computes the tags of
those frames, independently of the program's own checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.core.cross import compile_program, probe_flags
from harness.core.errors import HarnessError
from harness.core.paths import resources
from harness.core.pattern import page_pattern_tags
from harness.verdict.audit_rules import Expected

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.core.store import Store
    from harness.guest.guest import Guest

SOURCE = resources() / "guest" / "probes" / "pressure" / "pressure.c"
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
    """A run that has ended its work and keeps its memory.

    ``records`` is the table in the form of RECORD, without ``damaged`` rows whose check field is
    wrong. ``in_storage`` counts how often the run filled or checked a page of data in tag storage.
    """

    pid: int
    records: npt.NDArray[np.void]
    damaged: int
    in_storage: int
    output: str

    def frames(self, flag: int = 0) -> frozenset[int]:
        """Return the page frames whose record has ``flag``; all frames for 0."""
        rows = self.records[self.records["flags"] & flag == flag]
        return frozenset(rows["pfn"].tolist())

    def expected(self) -> Expected:
        """Return the tags of all tagged pages, for an audit."""
        rows = self.records[self.records["flags"] & TAGGED == TAGGED]
        return Expected(
            rows["pfn"].astype(np.int64),
            storage_bytes(rows["address"], rows["generation"].astype(np.uint64)),
        )


def hold_pressure(guest: Guest, programs: Store, *, seed: int, seconds: int) -> Held:
    """Run the program for ``seconds``; read its table from DRAM after it has printed ``# hold``.

    Raises HarnessError, with the program's output, if it ends or hangs instead.
    """
    flags = probe_flags(guest.template.kernel.page_size)
    guest.push(compile_program(programs, [SOURCE], flags), SOURCE.stem)
    regions = " ".join(
        f"--tags {r.base:#x}:{r.size:#x}:{r.storage:#x}" for r in guest.template.spec.tags
    )
    done = guest.exec(
        f"./{SOURCE.stem} --seed {seed} --seconds {seconds} {regions} --hold > {OUTPUT} 2>&1 & "
        f"pid=$!; until grep -q '^# hold' {OUTPUT} || ! kill -0 $pid 2>/dev/null; "
        f"do sleep 0.2; done; cat {OUTPUT}",
        # For a hang only: with lockdep and stress-ng, a run of 30 s took 250 s.
        timeout=8 * seconds + 360,
        phase="memory under pressure",
    )
    match = re.search(
        r"^# (\d+) pages of data seen in tag storage\n# hold (\d+) (0x[0-9a-f]+) (\d+)$",
        done.stdout,
        re.MULTILINE,
    )
    if match is None:
        output = guest.exec(f"cat {OUTPUT}").stdout
        how = "ended" if done.status == 0 else f"did not reach its end in {done.seconds:.0f} s"
        raise HarnessError(f"the pressure program {how}", f"pressure --seed {seed} --hold", output)
    seen, pid, address, count = (int(number, 0) for number in match.groups())
    records = np.frombuffer(guest.memory(pid, address, count * RECORD.itemsize), RECORD)
    good = records["check"] == (
        records["address"]
        ^ records["pfn"] << np.uint64(1)
        ^ records["generation"].astype(np.uint64) << np.uint64(32)
        ^ records["flags"]
    )
    return Held(pid, records[good], int((~good).sum()), seen, done.stdout)
