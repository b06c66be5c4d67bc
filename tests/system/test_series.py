# SPDX-License-Identifier: MIT
"""``mte-harness series check --form`` on our own series and cures."""

from __future__ import annotations

import pytest

from harness.core.paths import cache_root, resources
from harness.core.progress import Silent
from harness.jobs.series_check import check_form
from harness.jobs.series_commands import find_recipe
from harness.kernel.recipe import RECIPES

CURES = sorted(
    path.parent.relative_to(resources() / RECIPES).as_posix()
    for path in (resources() / RECIPES).glob("fixes*/*/kernel.toml")
)


@pytest.mark.parametrize("recipe", ["tag-storage", *CURES])
def test_each_patch_has_the_form_of_a_patch(recipe: str) -> None:
    assert check_form(find_recipe(recipe), cache_root(), Silent()) == []
