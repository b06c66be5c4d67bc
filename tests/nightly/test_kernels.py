# SPDX-License-Identifier: MIT
"""The whole suite gives the right verdict on other builds, releases and page sizes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import checkout
from harness.host.debian import unpack
from harness.kernel import locate_kernel
from harness.report import json_file
from harness.suite.report_files import REPORT
from tests.support.command import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from harness.suite.fixtures import Launcher
    from harness.suite.session import Session

# Each with a number of tests with results that it must exceed. 7.3, stock-64k and kasan-hw, which
# tags its own memory as well, are compiled here; the others are Debian's own builds. Pages of 16
# and 64 KiB skip probes.
KERNELS = {
    "7.3": 80,
    "debian:7.3": 80,
    "debian:7.2": 80,
    "debian:6.18": 80,
    "debian:7.3-16k": 75,
    "stock-64k": 65,
    "kasan-hw": 80,
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_suite_passes(kernel: str, tmp_path: Path, launch: Launcher) -> None:
    launch.template(kernel)  # or the test is skipped: the kernel's base is gone
    done = subprocess.run(
        [COMMAND, "validate", kernel, "--report", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout("the tests"),
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    report = json_file.read(tmp_path / REPORT)
    assert len([test for test in report.tests if test.result.cases]) > KERNELS[kernel]


@pytest.mark.parametrize("form", ["files", "tree"])
def test_packages_on_disk_and_unpacked(form: str, tmp_path: Path, harness_session: Session) -> None:
    """A program runs on Debian's kernel in .deb files, and in a root file system."""
    root = checkout("the tests")
    kernel = harness_session.kernel(locate_kernel("debian:7.3", root))
    packages = list((harness_session.cache / "downloads").glob(f"linux-*-{kernel.release}_*.deb"))
    place = tmp_path / form
    if form == "files":
        place.mkdir()
        for package in packages:
            (place / package.name).symlink_to(package)
    else:
        unpack(packages, place)
    done = subprocess.run(
        [COMMAND, "run", place, root / "tests/system/programs/pass.c", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "hello from x\n"), done.stderr[-4000:]
