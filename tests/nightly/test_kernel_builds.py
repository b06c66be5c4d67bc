# SPDX-License-Identifier: MIT
"""The suite on kernels that are built in another way: by clang, and with a distribution's config.

Each is a build of its own: clang's takes as long as that of `stock`, the distribution's a few times
that.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.paths import checkout, resources
from harness.kernel import locate_kernel
from harness.report import json_file
from harness.suite.report_files import REPORT
from tests.support.command import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.model import Report
    from harness.suite.session import Session


def validate(report: Path, *words: str) -> Report:
    done = subprocess.run(
        [COMMAND, "validate", *words, "--report", str(report)],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout("the tests"),
    )
    assert done.returncode == errors.OK, done.stdout[-4000:] + done.stderr[-4000:]
    return json_file.read(report / REPORT)


def judged(report: Report) -> int:
    return len([test for test in report.tests if test.result.cases])


@pytest.mark.usefixtures("harness_session")  # left out without --qemu
def test_a_kernel_of_clang(tmp_path: Path) -> None:
    report = validate(tmp_path, "7.3", "--llvm")
    assert judged(report) > 80
    (kernel,) = report.kernels
    assert kernel.name == "7.3+llvm"
    assert "built by clang" in kernel.recipe


def test_debian_s_own_configuration(harness_session: Session, tmp_path: Path) -> None:
    """Modules are not built, so there are none to trim from it; its full DWARF would be large."""
    config = harness_session.kernel(locate_kernel("debian:7.3", resources())).config
    report = validate(tmp_path, "7.3", f"--config={config}", "--set", "DEBUG_INFO_REDUCED=y")
    assert judged(report) > 80
    (kernel,) = report.kernels
    assert kernel.name == "7.3+config+DEBUG_INFO_REDUCED=y"
    assert "changed for the guest: DEVTMPFS_MOUNT=y, EXT4_FS=y, " in kernel.recipe
    assert "ZRAM=y" in kernel.recipe
