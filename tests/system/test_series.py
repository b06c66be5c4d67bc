# SPDX-License-Identifier: MIT
"""The quick part of mte-harness series check, on our own series."""

from __future__ import annotations

from harness.core.paths import cache_root, resources
from harness.core.progress import Silent
from harness.jobs.series_check import check_form
from harness.kernel.recipe import load_recipe, recipe_path


def test_each_patch_has_the_form_of_a_patch() -> None:
    path = recipe_path("tag-storage", resources())
    assert path
    assert check_form(load_recipe(path, resources()), cache_root(), Silent()) == []
