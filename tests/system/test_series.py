# SPDX-License-Identifier: MIT
"""``mte-harness series check --form`` on our own series."""

from __future__ import annotations

from harness.core.paths import cache_root
from harness.core.progress import Silent
from harness.jobs.series_check import check_form
from harness.jobs.series_commands import find_recipe


def test_each_patch_has_the_form_of_a_patch() -> None:
    assert check_form(find_recipe("tag-storage"), cache_root(), Silent()) == []
