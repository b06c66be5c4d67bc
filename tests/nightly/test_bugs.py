# SPDX-License-Identifier: MIT
"""Bug reports on real kernels: searches whose right answer is known, and the catalogue."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from harness.bugs.catalogue import Bug, catalogue
from harness.core.errors import SourceError
from harness.core.paths import resources
from harness.jobs.bisect_proof import KERNEL, search_mutants
from harness.suite.target import parse_target

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from harness.suite.session import Session

    Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = resources()
HOURS_S = 3600.0


def run(cli: Command, *words: str) -> str:
    """Return the standard output of a command; skip the test if Debian no longer has a kernel."""
    done = cli(*words, timeout=3 * HOURS_S)
    if done.returncode == SourceError.status:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_unmergeable_went_after_6_16(cli: Command, tmp_path: Path) -> None:
    """MADV_UNMERGEABLE took PROT_MTE away until f04aad36a07c, which stable branches got, too."""
    said = run(
        cli, "bisect", "debian", str(ROOT / "guest/probes/copy/ksm_merge.c"),
        "merged_then_mprotect", "--bad", "debian:6.16.12", "--good", "debian:7.3",
        "--state", str(tmp_path / "state.json"),
    )  # fmt: skip
    assert "The bug went between debian:6.16.12 and debian:6.17" in said
    assert "this is no culprit" in said


def test_a_warning_has_another_first_line_since_6_19(cli: Command, tmp_path: Path) -> None:
    """The place comes before the CPU; what can be had of 6.19 to 7.1 is chance."""
    said = run(
        cli, "bisect", "debian",
        str(ROOT / "guest/bugs/ptrace-tagged-address/ptrace_tagged_address.c"),
        "--console", r"WARNING: [^ ]+:\d+ at ", "--good", "debian:6.16.12", "--bad", "debian:7.3",
        "--state", str(tmp_path / "state.json"),
    )  # fmt: skip
    assert "The bug came between debian:6.18." in said


@pytest.mark.parametrize(
    ("known_bad", "probe"),
    [("core-tags-shifted", "tools/core_pages.c"), ("signal-keeps-tco", "faults/signal_tco.c")],
)
def test_a_known_bad_patch_in_a_copy_of_our_series(
    cli: Command, tmp_path: Path, known_bad: str, probe: str
) -> None:
    series = tmp_path / "series"
    shutil.copytree(ROOT / "kernel-configs/tag-storage/patches", series)
    (patch,) = (ROOT / f"kernel-configs/known-bad/{known_bad}/6.12/patches").glob("*.patch")
    shutil.copy(patch, series / "hidden.patch")
    listed = (series / "series").read_text().splitlines()
    names = [line for line in listed if line and not line.startswith("#")]
    place = random.randrange(1, len(names))
    names.insert(place, "hidden.patch")
    (series / "series").write_text("\n".join(names) + "\n")
    said = run(
        cli, "bisect", "stock-6.12", str(ROOT / "guest/probes" / probe), "--series", str(series),
        "--runs", "5", "--state", str(tmp_path / "state.json"),
    )  # fmt: skip
    assert f"The bug came with patch {place + 1}, hidden.patch" in said


@pytest.mark.parametrize("seed", range(4))
def test_simulated_commits(harness_session: Session, seed: int) -> None:
    target = parse_target(KERNEL, None)
    counts = search_mutants(seed, harness_session, target, harness_session.progress)
    assert not [name for name in counts if name.startswith("wrong")], counts


@pytest.mark.parametrize("bug", catalogue(), ids=lambda bug: bug.name)
def test_a_bug_of_the_catalogue_shows_where_it_lives(cli: Command, bug: Bug) -> None:
    run(cli, "bug", "run", bug.name, "--runs", "5")
