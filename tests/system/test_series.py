# SPDX-License-Identifier: MIT
"""The quick part of scripts/check-series, on our own series."""

from __future__ import annotations

from harness.kernel.recipe import load_recipe, recipe_path
from harness.paths import cache_root, repository_root
from harness.progress import Silent
from harness.series.check import check_form


def test_each_patch_has_the_form_of_a_patch() -> None:
    path = recipe_path("tag-storage", repository_root())
    assert path
    assert check_form(load_recipe(path, repository_root()), cache_root(), Silent()) == []
