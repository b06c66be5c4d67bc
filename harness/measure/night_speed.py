# SPDX-License-Identifier: MIT
"""What a night takes beside ``validate`` of the same work, in time and in CPU time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.core.paths import cache_root, resources
from harness.core.progress import plain_progress
from harness.kernel import locate_kernel
from harness.measure import measuring
from harness.suite.session import Session

if TYPE_CHECKING:
    from harness.measure.records import Record

TIMES = 3
MATRIX = """\
budget = "8h"
[[entry]]
suite = "validation"
kernels = ["{kernel}"]
select = "{select}"
estimate = "5m"
"""


def night_record(root: Path, kernel: str, select: str, command: str) -> Record:
    """Run both TIMES times in turn, and return the record. Raise HarnessError if one fails."""
    session = Session(cache_root(), plain_progress())
    key = session.kernel(locate_kernel(kernel, resources())).key
    start = measuring.begin(root)
    found: dict[str, list[tuple[float, float]]] = {"validate": [], "nightly": []}
    with tempfile.TemporaryDirectory(prefix="mte-night-speed-") as scratch:
        place = Path(scratch)
        (place / "m.toml").write_text(MATRIX.format(kernel=kernel, select=select))
        commands = {
            "validate": ["validate", kernel, "-k", select, "--report", f"{place}/report"],
            "nightly": ["nightly", "--matrix", f"{place}/m.toml", "--results", f"{place}/nights"],
        }
        for _ in range(TIMES):
            for name, words in commands.items():
                found[name].append(_timed(words))
    samples = {}
    for kind, index in (("", 0), ("CPU: ", 1)):
        for name, both in found.items():
            samples[f"{kind}{name}"] = ([one[index] for one in both], "s")
        pairs = zip(found["nightly"], found["validate"], strict=True)
        ratios = [night[index] / other[index] for night, other in pairs]
        samples[f"{kind}nightly / validate"] = (ratios, "")
    return measuring.new_record(
        "night",
        f"{kernel} -k {select}",
        start=start,
        root=root,
        command=command,
        kernels={kernel: key},
        qemu=str(session.qemu),
        values={name: measuring.value_of(*both) for name, both in samples.items()},
    )


def _timed(words: list[str]) -> tuple[float, float]:
    """Run a command of ours; return its seconds, and those of CPUs that it and its guests used."""
    before = _cpu()
    clock = time.monotonic()
    code = "from harness.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "PYTHONPATH": str(resources())},
    )
    if done.returncode:
        raise HarnessError(
            f"mte-harness {words[0]} ended with {done.returncode}: nothing to compare",
            details=done.stdout[-2000:] + done.stderr[-2000:],
        )
    return time.monotonic() - clock, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
