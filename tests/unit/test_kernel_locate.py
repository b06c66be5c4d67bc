# SPDX-License-Identifier: MIT
"""Which kernel an argument names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import RecipeError, UsageError
from harness.kernel import ImageKernel, RecipeKernel, TreeKernel, locate_kernel

if TYPE_CHECKING:
    from pathlib import Path

STOCK = 'description = "d"\nfragments = ["base"]\n[base]\ndebian = "linux-source-1"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "kernel-configs/stock").mkdir(parents=True)
    (root / "kernel-configs/stock/kernel.toml").write_text(STOCK)
    (root / "kernel-configs/fragments").mkdir()
    (root / "kernel-configs/fragments/base.config").write_text("CONFIG_A=y\n")
    return root


def test_recipe_of_the_repository(root: Path) -> None:
    source = locate_kernel("stock", root)
    assert isinstance(source, RecipeKernel)
    assert source.recipe.name == "stock"


def test_directory_with_a_kernel_toml_is_a_recipe(root: Path, tmp_path: Path) -> None:
    (tmp_path / "kernel.toml").write_text('description = "d"\ninherits = "stock"\n')
    source = locate_kernel(str(tmp_path), root)
    assert isinstance(source, RecipeKernel)
    assert source.recipe.path == tmp_path / "kernel.toml"


def test_source_directory_is_configured_as_stock(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "linux").mkdir()
    monkeypatch.chdir(tmp_path)
    fragments = (root / "kernel-configs/fragments/base.config",)
    assert locate_kernel("linux", root) == TreeKernel(tmp_path / "linux", fragments)


def test_image(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "Image"
    image.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate_kernel("~/Image", root) == ImageKernel(image)


def test_recipe_comes_before_a_directory_of_its_name(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stock").mkdir()
    monkeypatch.chdir(tmp_path)
    assert isinstance(locate_kernel("stock", root), RecipeKernel)
    assert isinstance(locate_kernel("./stock", root), TreeKernel)


def test_argument_that_names_nothing(root: Path) -> None:
    with pytest.raises(UsageError, match="recipes: stock"):
        locate_kernel("stok", root)


def test_wrong_recipe(root: Path) -> None:
    (root / "kernel-configs/stock/kernel.toml").write_text("x = 1\n")
    with pytest.raises(RecipeError, match=r"kernel\.toml:1: unknown key 'x'"):
        locate_kernel("stock", root)
