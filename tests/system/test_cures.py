# SPDX-License-Identifier: MIT
"""A recipe that claims a cure which it has not fails; so does one that cures no known finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import KERNEL_SPLAT, PROGRAM_FAILED

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("cure", "status", "said"),
    [
        # The finding warns, too: the splat is the worse verdict.
        ("ptrace-tagged-address", KERNEL_SPLAT, "WARNING"),
        ("ptrace-tagged-adress", PROGRAM_FAILED, "ptrace-tagged-adress"),
    ],
)
def test_a_false_claim_fails(
    cli: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    cure: str,
    status: int,
    said: str,
) -> None:
    recipe = tmp_path / "claims"
    recipe.mkdir()
    (recipe / "kernel.toml").write_text(
        f'description = "d"\ninherits = "stock"\n[cures]\nfindings = ["{cure}"]\n'
    )
    done = cli(
        *("validate", str(recipe), "-n", "1", "--report", str(tmp_path / "report")),
        *("-k", "test_known_bug and ptrace_tagged_address"),
        timeout=600,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stdout
