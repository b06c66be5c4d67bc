# SPDX-License-Identifier: MIT
"""A known-bad kernel is seen to fail, for its reason and no other.

`mte-harness known-bad` proves whole tables; this is the smallest of them, in the
project's own tests: a swap-in that restores no tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core import errors
from harness.report import json_file
from harness.suite.report_files import REPORT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from harness.suite.fixtures import Launcher

KERNEL = "known-bad/swapin-no-restore"


def test_swap_in_without_restore(
    cli: Callable[..., subprocess.CompletedProcess[str]], launch: Launcher, tmp_path: Path
) -> None:
    launch.template(KERNEL)  # or the test is skipped: the kernel's base is gone
    done = cli(
        "validate", KERNEL, "-k", "swap_roundtrip or zero_anon or cow_fork",
        "--report", str(tmp_path), timeout=1800,
    )  # fmt: skip
    assert done.returncode == errors.PROGRAM_FAILED, done.stderr
    report = json_file.read(tmp_path / REPORT)
    verdicts = {test.name: test.status.value for test in report.tests}
    assert verdicts == {"swap_roundtrip": "fail", "zero_anon": "pass", "cow_fork": "pass"}
    broken = next(test for test in report.tests if test.name == "swap_roundtrip")
    said = "\n".join(line for reason in broken.result.reasons for line in reason.details)
    assert "saw 0" in said
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert "swap_roundtrip" in (tmp_path / "junit.xml").read_text()
