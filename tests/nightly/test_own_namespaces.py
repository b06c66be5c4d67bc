# SPDX-License-Identifier: MIT
"""A host without loopback, and one with a full disk, as a user meets them.

unshare(1) needs root or user namespaces, which a container may not have: such a host fails here.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core import errors
from harness.core.paths import resources
from tests.support.command import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from harness.guest.template import Template

PASS = ("run", "stock", str(resources() / "tests/system/programs/pass.c"))
# Rights to mount, which root has, and any other user in a user namespace of its own.
OWN = ["unshare", *([] if os.geteuid() == 0 else ["--user", "-r"])]


@pytest.fixture(autouse=True)
def warm(template: Template) -> None:
    """Prepare the template, so that no test below waits for a build."""


def cause(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return next(line for line in done.stderr.splitlines() if line.startswith("mte-harness: "))


def test_no_loopback() -> None:
    command = [*OWN, "--net", COMMAND, *PASS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == errors.HarnessError.status
    assert "ip link set lo up" in cause(done)


@pytest.mark.parametrize("options", ["size=300k", "nr_inodes=5"])
def test_a_full_disk(tmp_path: Path, options: str) -> None:
    script = (
        f'mount -t tmpfs -o {options} tmpfs "$0" && "$@"; status=$?; '
        'find "$0" -mindepth 2 -not -name "*.lock"; exit $status'
    )
    done = subprocess.run(
        [*OWN, "--mount", "sh", "-c", script, str(tmp_path), COMMAND, *PASS],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "MTE_HARNESS_CACHE": str(tmp_path), "TMPDIR": "/tmp"},
    )
    assert (done.returncode, done.stdout) == (errors.DiskFullError.status, ""), done.stderr
    assert "MTE_HARNESS_CACHE" in cause(done)
