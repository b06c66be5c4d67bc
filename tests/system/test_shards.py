# SPDX-License-Identifier: MIT
"""A plan, two shards with caches of their own, and their merge, against one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.report import json_file
from harness.report.model import HoleKind
from harness.suite.report_files import REPORT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from harness.report.model import Report

    Cli = Callable[..., subprocess.CompletedProcess[str]]

PROBES = "cow_fork or fault_siginfo or zero_anon"
LIMIT = 1800.0  # seconds, on a loaded host


def told(report: Report) -> list[tuple[str, str, str, str, int, str]]:
    """Return what must not depend on where a test runs."""
    return [
        (
            test.id,
            test.kernel,
            test.machine,
            test.status.value,
            len(test.result.cases),
            test.result.text(),
        )
        for test in report.tests
    ]


@pytest.mark.usefixtures("harness_session")
def test_two_shards_are_one_run(cli: Cli, tmp_path: Path) -> None:
    def ran(*words: object, status: int = 0, **env: str) -> None:
        done = cli(*map(str, words), timeout=LIMIT, **env)
        assert done.returncode == status, done.stdout + done.stderr

    plan, bundle = tmp_path / "plan.json", tmp_path / "bundle"
    one, two, whole = (tmp_path / name for name in ("one", "two", "whole"))
    ran("validate", "stock", "-k", PROBES, "-n", 1, "--report", one)
    ran("plan", "stock", "--shards", 2, "-k", PROBES, "--report", one, "-o", plan)
    ran("bundle", plan, "--output", bundle)
    for number in (1, 2):
        words = ("shard", plan, number, "--bundle", bundle, "-n", 1)
        cache = tmp_path / f"cache-{number}"
        ran(*words, "--output", two / str(number), MTE_HARNESS_CACHE=str(cache))
        # The kernel came with the bundle: nothing was fetched, unpacked or built.
        assert not {"downloads", "sources", "tarballs", "git"} & {x.name for x in cache.iterdir()}
    ran("merge", two / "1", two / "2", "--plan", plan, "--report", whole)
    report = json_file.read(whole / REPORT)
    assert report.good
    assert told(report) == told(json_file.read(one / REPORT))
    assert {kernel.key for kernel in report.kernels} == {
        kernel.key for kernel in json_file.read(one / REPORT).kernels
    }
    ran("merge", two / "2", "--plan", plan, "--report", whole, status=159)
    holes = json_file.read(whole / REPORT).holes
    assert [hole.kind for hole in holes] == [HoleKind.MISSING]
