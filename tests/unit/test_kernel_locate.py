# SPDX-License-Identifier: MIT
"""Which kernel an argument names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import RecipeError, UsageError
from harness.kernel import ImageKernel, RecipeKernel, Series, TreeKernel, locate_kernel
from harness.kernel.build_options import BuildOptions

if TYPE_CHECKING:
    from pathlib import Path
from harness.kernel.recipe import DebianBase

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


@pytest.mark.parametrize(
    ("version", "package", "exact"),
    [("7.3", "linux-source-7.3", ""), ("6.12.117", "linux-source-6.12", "6.12.117")],
)
def test_version(root: Path, version: str, package: str, exact: str) -> None:
    source = locate_kernel(version, root)
    assert isinstance(source, RecipeKernel)
    assert source.recipe.base == DebianBase(package, exact)
    assert source.recipe.name == version
    assert source.recipe.fragments == (root / "kernel-configs/fragments/base.config",)


@pytest.mark.parametrize(
    ("word", "readings"),
    [
        ("stock", r"may be the recipe .*/kernel-configs/stock or the directory .*/here/stock"),
        ("7.3", r"may be Linux 7.3 or the directory .*/here/7.3"),
        ("6.1", r"may be the recipe .*/kernel-configs/6.1 or Linux 6.1"),
    ],
)
def test_a_word_that_means_two_kernels(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, readings: str
) -> None:
    (root / "kernel-configs/6.1").mkdir()
    (root / "kernel-configs/6.1/kernel.toml").write_text(STOCK)
    for name in ("stock", "7.3"):
        (tmp_path / "here" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match=readings):
        locate_kernel(word, root)
    if word != "6.1":
        assert isinstance(locate_kernel(f"./{word}", root), TreeKernel)


@pytest.mark.parametrize("argument", ["Image", "debian:7.3"])
def test_a_kernel_that_is_built_takes_no_series(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    (tmp_path / "Image").touch()
    monkeypatch.chdir(tmp_path)
    options = BuildOptions(series=(Series(tmp_path / "fix.mbox", ()),))
    message = f"^--series cannot change {argument}, which is built already"
    with pytest.raises(UsageError, match=message):
        locate_kernel(argument, root, options)
    for source in (locate_kernel("stock", root, options), locate_kernel("7.3", root, options)):
        assert isinstance(source, RecipeKernel)
        assert source.options == options
        assert "unmodified" not in source.recipe.description


def test_a_recipe_named_from_its_own_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "kernel-configs")
    assert isinstance(locate_kernel("stock", root), RecipeKernel)


def test_argument_that_names_nothing(root: Path) -> None:
    with pytest.raises(UsageError, match="recipes: stock; the others"):
        locate_kernel("stok", root)


def test_wrong_recipe(root: Path) -> None:
    (root / "kernel-configs/stock/kernel.toml").write_text("x = 1\n")
    with pytest.raises(RecipeError, match=r"kernel\.toml:1: unknown key 'x'"):
        locate_kernel("stock", root)


@pytest.mark.parametrize("argument", ["", " "])
def test_an_empty_word_is_not_the_present_directory(root: Path, argument: str) -> None:
    with pytest.raises(UsageError, match="empty word"):
        locate_kernel(argument, root)


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("v7.3", "did you mean 7.3? "),
        ("linux-7.3.4", "did you mean 7.3.4? "),
        ("linux-v7.3", "did you mean 7.3? "),
        ("Stock ", "did you mean stock? "),
        ("stok", "did you mean stock? "),
        ("https://kernel.org", "recipes: stock"),
    ],
)
def test_a_word_that_is_nearly_right(root: Path, argument: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate_kernel(argument, root)
    assert caught.value.cure.startswith(meant)
