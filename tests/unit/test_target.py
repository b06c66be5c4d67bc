# SPDX-License-Identifier: MIT
"""KERNEL@MACHINE, and what decides when nobody says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import RecipeError, UsageError
from harness.suite.target import parse_target

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = 'description = "x"\nmachine = "%s"\n[base]\ndirectory = "."\n'


def test_who_decides(tmp_path: Path) -> None:
    (tmp_path / "kernel.toml").write_text(RECIPE % "dram/unaware")
    recipe = str(tmp_path)
    assert parse_target("stock", None).machine.name == "emulator"
    assert parse_target("stock", "dram").machine.name == "dram/carveout"
    assert parse_target(recipe, None).machine.name == "dram/unaware"
    assert parse_target(recipe, "emulator").machine.name == "emulator"
    target = parse_target(f"{recipe}@dram", "emulator")
    assert (target.kernel, target.machine.name) == (recipe, "dram/carveout")


def test_an_at_in_a_path() -> None:
    assert parse_target("/src/linux@work", None).kernel == "/src/linux@work"


def test_unknown_machines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no machine called 'toaster'"):
        parse_target("stock", "toaster")
    (tmp_path / "kernel.toml").write_text(RECIPE % "toaster")
    with pytest.raises(RecipeError, match=r"kernel.toml:2: there is no machine 'toaster'"):
        parse_target(str(tmp_path), None)
