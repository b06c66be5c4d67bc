# SPDX-License-Identifier: MIT
"""``mte-harness series check``: exceptions from checkpatch.pl, kernels of the first N patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import RecipeError, SourceError, UsageError
from harness.core.paths import resources
from harness.kernel.artifact import Kernel
from harness.kernel.patches import read_series
from harness.kernel.recipe import load_recipe, recipe_path
from harness.series.edit import write_back
from harness.series.prefix import BUILD_LOG, series_files, warnings, write_prefix
from harness.series.style import Exceptions, check_style, read_exceptions
from harness.suite.head_comment import discover

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel.recipe import Recipe

ROOT = resources()


def recipe(name: str) -> Recipe:
    """Load a recipe of kernel-configs/."""
    path = recipe_path(name, ROOT)
    assert path
    return load_recipe(path, ROOT)


def checkpatch(tmp_path: Path, said: str, status: int = 1) -> Path:
    """Make a tree whose checkpatch.pl prints ``said``."""
    script = tmp_path / "scripts/checkpatch.pl"
    script.parent.mkdir()
    script.write_text(f"print q({said}); exit {status};\n")
    return tmp_path


SAID = """mm/a.c:7: WARNING:LONG_LINE: line too long
: ERROR:MISSING_SIGN_OFF: Missing Signed-off-by: line(s)
mm/b.c:: CHECK:CAMELCASE: Avoid CamelCase: <aB>
total: 1 errors, 1 warnings, 1 checks, 9 lines checked
"""


def test_all_that_checkpatch_says_counts(tmp_path: Path) -> None:
    found = check_style(tmp_path / "x.patch", checkpatch(tmp_path, SAID), Exceptions())
    assert found == SAID.splitlines()[:3]


def test_an_exception_is_for_one_file_and_one_type(tmp_path: Path) -> None:
    exceptions = Exceptions([("mm/*.c", "CAMELCASE"), ("fs/*.c", "LONG_LINE")])
    found = check_style(tmp_path / "x.patch", checkpatch(tmp_path, SAID), exceptions)
    assert found == SAID.splitlines()[:2]
    assert exceptions.unused == ["LONG_LINE of fs/*.c"]


@pytest.mark.parametrize("said", ["what is that", ""])
def test_a_checkpatch_that_does_not_work_is_no_pass(tmp_path: Path, said: str) -> None:
    with pytest.raises(SourceError):
        check_style(tmp_path / "x.patch", checkpatch(tmp_path, said, 2), Exceptions())


@pytest.mark.parametrize(
    "text",
    ['[[exception]]\nfiles = "*"\ntypes = ["A"]\n', "[[exception", '[[exception]]\nwhy = "x"'],
)
def test_an_exception_without_a_reason_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "checkpatch.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"checkpatch\.toml"):
        read_exceptions(path)


def test_a_prefix_is_a_recipe_of_the_first_patches(tmp_path: Path) -> None:
    whole, parent = recipe("tag-storage"), recipe("stock")
    prefix = load_recipe(write_prefix(whole, parent, 3, tmp_path) / "kernel.toml", ROOT)
    assert prefix.own_patches
    names = [patch.text for patch in read_series(prefix.own_patches)]
    assert names == [file.read_bytes() for file in series_files(whole)[:3]]
    assert prefix.fragments == whole.fragments
    assert "ARM64_MTE_TAG_STORAGE" in prefix.optional
    assert prefix.machine == whole.machine


def test_a_prefix_of_a_recipe_in_a_directory_has_a_directory(tmp_path: Path) -> None:
    place = write_prefix(recipe("fixes/thp-partial-tag"), recipe("stock"), 1, tmp_path)
    assert place.parent == tmp_path


def test_a_list_of_other_recipes_patches_is_not_written_back(tmp_path: Path) -> None:
    before = [file.read_bytes() for file in series_files(recipe("fixes"))]
    with pytest.raises(UsageError, match="other directories"):
        write_back(recipe("fixes"), tmp_path)
    assert [file.read_bytes() for file in series_files(recipe("fixes"))] == before


def test_a_recipe_without_a_series_is_refused() -> None:
    with pytest.raises(UsageError, match="stock"):
        series_files(recipe("stock"))


def test_a_warning_is_known_whatever_its_line(tmp_path: Path) -> None:
    def kernel(name: str, log: str) -> Kernel:
        directory = tmp_path / name
        directory.mkdir()
        (directory / BUILD_LOG).write_text(log)
        return Kernel(name, "0", directory, directory, None, None, "6.12", None, "for a test")

    old = kernel("old", "  CC mm/a.o\n../mm/a.c:10:5: warning: unused\n")
    new = kernel("new", "../mm/a.c:12:5: warning: unused\n../mm/b.c:1:2: warning: unused\n")
    assert warnings(new) - warnings(old) == {"../mm/b.c: warning: unused"}


def test_the_smoke_probes_cover_each_area_with_tagged_pages() -> None:
    chosen = [probe for probe in discover(ROOT / "guest/probes") if probe.smoke]
    assert 10 <= len(chosen) <= 15
    areas = {probe.path.parent.name for probe in chosen}
    assert areas >= {"zero", "copy", "swap", "migrate", "thp", "reuse"}
