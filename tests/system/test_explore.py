# SPDX-License-Identifier: MIT
"""`mte-harness explore` on real guests: what it finds, and that it finds nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.explore.hit import CORPUS
from harness.explore.on_guest import SHAPES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from harness.suite.fixtures import Launcher

    Cli = Callable[..., subprocess.CompletedProcess[str]]

LIMIT = 1800.0  # seconds, on a loaded host
FINDING = CORPUS / "thp-partial-tag.json"


@pytest.mark.usefixtures("harness_session")
def test_all_single_operations_find_what_is_known(cli: Cli, tmp_path: Path) -> None:
    """The C program of the finding is the last proof: it fails in each of its runs."""
    done = cli(
        *("explore", "stock", "--short", "1", "--minutes", "20", "-n", "1"),
        *("--keep", str(tmp_path)),
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "known (thp-partial-tag): tag lost" in done.stdout
    assert "fails 4 of 4 on stock" in done.stdout
    assert "NEW" not in done.stdout


@pytest.mark.usefixtures("harness_session")
def test_random_sequences_on_a_healthy_kernel(cli: Cli, tmp_path: Path) -> None:
    words = ("--minutes", "0.2", "--seed", "1", "-n", "1", "--keep", str(tmp_path))
    done = cli("explore", "stock", *words, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NEW" not in done.stdout


@pytest.mark.usefixtures("harness_session")
def test_a_kept_sequence_shows_the_finding_again(cli: Cli) -> None:
    done = cli("explore", "stock", "--replay", str(FINDING), timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deviates 8 of 8" in done.stdout
    assert "tag lost" in done.stdout


@pytest.mark.usefixtures("harness_session")
def test_something_that_nobody_knows_is_status_1(cli: Cli, tmp_path: Path) -> None:
    """Memory that each guest keeps: 16 MiB of a file system in memory that stays mounted."""
    words = ("--minutes", "5", "--first", "-n", "1", "--keep", str(tmp_path), "--short", "1")
    before = "dd if=/dev/zero of=/run/kept bs=1M count=16 2> /dev/null"
    done = cli("explore", "stock", *words, "--before", before, timeout=LIMIT)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NEW: leak, in every guest" in done.stdout
    assert (tmp_path / "hit-1" / "hit.c").is_file()


def test_swap_is_shaped_as_the_operations_say(launch: Launcher) -> None:
    """What a shell line did not do would be tested by nobody: its result is not judged."""
    found = {}
    with launch("stock") as guest:
        guest.exec("busybox mkswap /dev/zram0; busybox swapon /dev/zram0")
        for name, shape in SHAPES.items():
            done = guest.exec(f"({shape}) > /dev/null 2>&1; cat /proc/swaps")
            rows = [line.split() for line in done.stdout.splitlines()[1:]]
            found[name] = {row[0]: int(row[2]) for row in rows}
    assert list(found["small"]) == ["/dev/zram0"]
    assert found["small"]["/dev/zram0"] < 2048  # KiB
    assert list(found["two"]) == ["/dev/zram0", "/dev/vdb"]
    assert list(found["other two"]) == ["/dev/zram0"]
    assert list(found["disk"]) == ["/dev/vdb"]
