# SPDX-License-Identifier: MIT
"""``mte-harness record cluster``: Slurm's nodes on this host against one process, the same work.

Each pair is measured one after the other, again and again, so that other load of the host is in
both; the figure is their ratio.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.measure import measuring
from harness.report import json_file
from harness.shards.loopback_cluster import LoopbackCluster
from harness.suite.report_files import REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.measure.records import Record
    from harness.report.model import Report

TWO_NODES = "two Slurm nodes / one process with -n 2"
FOUR_NODES = "one node of half a core / four such nodes"
HALF = 0.5  # of a core


def cluster_record(root: Path, kernel: str, expression: str | None, rounds: int) -> Record:
    """Run the suite on ``kernel`` in four ways, ``rounds`` times; return the record of the ratios.

    The cache is that of this host for all of them, and has what is needed before it begins: what is
    measured is the suite, with plan, bundle, jobs and merge. Raise HarnessError if a way gives
    another result than the others.
    """
    start = measuring.begin(root)
    with tempfile.TemporaryDirectory(prefix="mte-cluster-") as name:
        ways = _Ways(Path(name), kernel, ["-k", expression] if expression else [])
        seconds: dict[str, list[float]] = {}
        ways.validate("first")  # which fills the cache, and whose seconds balance the shards
        for number in range(rounds):
            one = ways.validate(f"one-{number}")
            two = ways.slurm(f"two-{number}", nodes=2)
            half = ways.slurm(f"half-{number}", nodes=1, share=HALF)
            four = ways.slurm(f"four-{number}", nodes=4, share=HALF)
            seconds.setdefault(TWO_NODES, []).append(two / one)
            seconds.setdefault(FOUR_NODES, []).append(half / four)
            for what, value in zip(_NAMES, (one, two, half, four), strict=True):
                seconds.setdefault(what, []).append(value)
        report = ways.first
    load = f"load average {start.host.load} at the start, {os.getloadavg()[0]:.1f} at the end"
    return measuring.new_record(
        "cluster",
        f"{kernel}, -k '{expression}'" if expression else kernel,
        start=start,
        root=root,
        command=shlex.join(["mte-harness", *sys.argv[1:]]),
        kernels={record.name: record.key for record in report.kernels},
        machine=", ".join(sorted({record.machine for record in report.kernels})),
        qemu=report.qemu,
        counts={"tests": len(report.tests)},
        values={
            what: measuring.value_of(values, "s" if what in _NAMES else "")
            for what, values in seconds.items()
        },
        notes=(f"a host that others used as well: {load}",),
    )


_NAMES = (
    "one process with -n 2",
    "two Slurm nodes",
    "one node of half a core",
    "four nodes of half a core",
)


class _Ways:
    """The ways to run the same suite; all reports must agree with the first."""

    def __init__(self, directory: Path, kernel: str, words: list[str]) -> None:
        self._directory = directory
        self._kernel = kernel
        self._words = words

    @property
    def first(self) -> Report:
        """Return the report of the first run."""
        return json_file.read(self._directory / "first" / REPORT)

    def validate(self, name: str) -> float:
        """Run the suite in one process with two guests at once; return the seconds."""
        report = self._directory / name
        words = ["validate", self._kernel, *self._words, "-n", "2", "--report", str(report)]
        return self._run(words, os.environ, report)

    def slurm(self, name: str, nodes: int, share: float | None = None) -> float:
        """Run it on so many nodes, a shard each; return the seconds from the submission on."""
        plan, place = self._directory / f"{name}.json", self._directory / name
        words = ["plan", self._kernel, *self._words, "--shards", str(nodes), "-o", str(plan)]
        _command([*words, "--report", str(self._directory / "first")], os.environ)
        with LoopbackCluster(nodes, share=share) as cluster:
            words = ["slurm", str(plan), str(place), "-n", "1", "--wait"]
            return self._run(words, cluster.environment, place / "report")

    def _run(self, words: list[str], environment: Mapping[str, str], report: Path) -> float:
        clock = time.monotonic()
        status = _command(words, environment)
        seconds = time.monotonic() - clock
        print(f"{report.name if report.name != 'report' else report.parent.name}: {seconds:.1f} s")
        if _results(json_file.read(report / REPORT)) != _results(self.first):
            cause = f"{shlex.join(words)} gave other results than the first run"
            raise HarnessError(f"{cause}, and status {status}", "run it again on an idle host")
        return seconds


def _results(report: Report) -> dict[str, str]:
    return {test.id: test.status.value for test in report.tests}


def _command(words: list[str], environment: Mapping[str, str]) -> int:
    program = str(Path(sys.executable).with_name("mte-harness"))
    done = subprocess.run(
        [program, *words],
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode >= 128:
        raise HarnessError(f"{shlex.join(words)} ended with {done.returncode}", details=done.stderr)
    return done.returncode
