# SPDX-License-Identifier: MIT
"""kernel.toml: what is read, what is inherited, and which line an error names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.core.errors import RecipeError
from harness.core.paths import resources
from harness.kernel.recipe import (
    DebianBase,
    DirectoryBase,
    GitBase,
    KnownBad,
    Recipe,
    load_recipe,
    recipe_names,
    recipe_path,
)
from harness.suite.head_comment import discover

if TYPE_CHECKING:
    from pathlib import Path

STOCK = 'description = "d"\nfragments = ["base"]\n[base]\ndebian = "linux-source-6.12"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "stock", STOCK)
    fragments = tmp_path / "kernel-configs/fragments"
    fragments.mkdir()
    (fragments / "base.config").write_text("CONFIG_A=y\n")
    (fragments / "debug.config").write_text("CONFIG_B=y\n")
    return tmp_path


def write(root: Path, name: str, text: str) -> Path:
    directory = root / "kernel-configs" / name
    (directory / "patches").mkdir(parents=True, exist_ok=True)
    (directory / "patches/series").write_text("")
    (directory / "kernel.toml").write_text(text)
    return directory / "kernel.toml"


def load(root: Path, name: str, text: str) -> Recipe:
    return load_recipe(write(root, name, text), root)


def test_plain_recipe(root: Path) -> None:
    recipe = load(root, "stock", STOCK)
    assert recipe.name == "stock"
    assert recipe.base == DebianBase("linux-source-6.12")
    assert [path.name for path in recipe.fragments] == ["base.config"]
    assert recipe.patches == ()
    assert recipe.own_patches is None
    assert recipe.known_bad is None


def test_inherited_base_fragments_and_patches_come_first(root: Path) -> None:
    write(root, "mid", 'description = "m"\ninherits = "stock"\npatches = "patches/series"\n')
    recipe = load(
        root,
        "known-bad/top",
        'description = "t"\ninherits = "mid"\nfragments = ["debug"]\npatches = "patches/series"\n'
        '[known_bad]\nbreaks = "x"\nprobes = ["swap_disk"]\n',
    )
    assert recipe.name == "known-bad/top"
    assert recipe.base == DebianBase("linux-source-6.12")
    assert [path.name for path in recipe.fragments] == ["base.config", "debug.config"]
    assert [path.parent.parent.name for path in recipe.patches] == ["mid", "top"]
    assert recipe.own_patches == recipe.patches[1]
    assert recipe.known_bad == KnownBad(("swap_disk",))


def test_bases(root: Path) -> None:
    pinned = load(root, "p", STOCK + 'version = "6.12.117"\n')
    assert pinned.base == DebianBase("linux-source-6.12", "6.12.117")
    git = load(root, "g", 'description = "d"\n[base]\ngit = "https://x/y"\nrevision = "v6.18"\n')
    assert git.base == GitBase("https://x/y", "v6.18")
    local = load(root, "l", 'description = "d"\n[base]\ndirectory = "../linux"\n')
    assert local.base == DirectoryBase((root / "kernel-configs/linux").resolve())


def test_optional_symbols_lose_their_prefix(root: Path) -> None:
    recipe = load(
        root, "o", 'description = "d"\ninherits = "stock"\noptional = ["CONFIG_X", "Y"]\n'
    )
    assert recipe.optional == {"X", "Y"}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ('description = "d"\nfragment = ["base"]\n', 2, "unknown key 'fragment'"),
        (STOCK + 'tag = "1"\n', 5, "unknown key 'tag' in [base]"),
        (STOCK + 'version = "1"\n', 5, "'1' is no point release of linux-source-6.12"),
        (STOCK + 'version = "7.3.4"\n', 5, "no point release of linux-source-6.12"),
        (STOCK + "version = 6.12\n", 5, "version must be a string"),
        ('description = "d"\n[base]\ndirectory = "x"\nversion = "6.12.1"\n', 4, "goes with debian"),
        (STOCK + 'git = "x"\nrevision = "y"\n', 3, "exactly one of"),
        ('description = "d"\n[base]\ngit = "x"\n', 2, "git needs one"),
        ('description = "d"\n[base]\ndebian = "x"\nrevision = "y"\n', 2, "revision goes with git"),
        ('inherits = "stock"\n', 1, "description must be a string"),
        ('description = "d"\ninherits = "no"\n', 2, "no recipe 'no'"),
        ('description = "d"\nfragments = ["no"]\n[base]\ndebian = "x"\n', 2, "no fragment 'no'"),
        ('description = "d"\nfragments = "base"\n[base]\ndebian = "x"\n', 2, "list of strings"),
        ('description = "d"\npatches = "no"\n[base]\ndebian = "x"\n', 2, "there is no"),
        ('description = "d"\ninherits = "stock"\n[known_bad]\nprobes = []\n', 1, "breaks must be"),
        ('description = "d"\ninherits = "stock"\n[known_bad]\nas = "no"\n', 4, "recipe 'no'"),
        ('description = "d"\ninherits = "stock"\n[known_bad]\nas = "stock"\n', 4, "'stock'"),
        (
            'description = "d"\ninherits = "stock"\n[known_bad]\nas = "x"\nprobes = []\n',
            5,
            "unknown key 'probes'",
        ),
        ('description = "d"\ninherits = "stock"\n[cures]\nfinding = ["x"]\n', 4, "'finding'"),
        ('description = "d"\ninherits = "stock"\n[cures]\nfindings = "x"\n', 4, "list of strings"),
        ('description = "d"\ninherits = "stock"\n[cures]\n', 3, "must name findings"),
    ],
)
def test_error_names_the_line(root: Path, text: str, line: int, word: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(root, "bad", text)
    assert f"kernel.toml:{line}: " in caught.value.cause
    assert word in caught.value.cause


def test_the_same_bug_in_another_release(root: Path) -> None:
    table = 'breaks = "x"\nprobes = ["swap_disk"]\nsometimes = ["ksm_merge"]\n'
    head = 'description = "b"\ninherits = "stock"\n[known_bad]\n'
    write(root, "bad/new", head + table)
    old = load(root, "bad/new/6.12", head + 'as = "bad/new"\n')
    assert old.known_bad == KnownBad(("swap_disk",), ("ksm_merge",))


def test_cures_of_a_recipe_are_those_of_its_parents_too(root: Path) -> None:
    assert load(root, "stock", STOCK).cures == frozenset()
    write(root, "mid", 'description = "m"\ninherits = "stock"\n[cures]\nfindings = ["a-b"]\n')
    top = load(root, "top", 'description = "t"\ninherits = "mid"\n[cures]\nfindings = ["c"]\n')
    assert top.cures == {"a-b", "c"}


def test_bad_toml_names_the_line(root: Path) -> None:
    with pytest.raises(RecipeError, match="at line 2"):
        load(root, "bad", 'description = "d"\n= 3\n')


def test_no_base(root: Path) -> None:
    with pytest.raises(RecipeError, match=r"no \[base\]"):
        load(root, "bad", 'description = "d"\n')


def test_circle(root: Path) -> None:
    write(root, "a", 'description = "a"\ninherits = "b"\n')
    with pytest.raises(RecipeError, match="inherits itself"):
        load(root, "b", 'description = "b"\ninherits = "a"\n')


def test_recipe_outside_the_repository(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "x.config").write_text("CONFIG_C=y\n")
    (own / "kernel.toml").write_text(
        'description = "d"\ninherits = "stock"\nfragments = ["./x.config"]\n'
    )
    path = recipe_path(str(own), root)
    assert path is not None
    recipe = load_recipe(path, root)
    assert recipe.name == "own"
    assert [path.name for path in recipe.fragments] == ["base.config", "x.config"]


def test_a_name_that_is_no_recipe(root: Path) -> None:
    assert recipe_path("linux", root) is None
    assert recipe_path("./stock", root) is None


def test_every_recipe_of_the_repository_loads() -> None:
    root = resources()
    names = recipe_names(root)
    assert {"stock", "debug"} <= set(names)
    probes = {probe.name for probe in discover(root / "guest" / "probes")}
    for name in names:
        path = recipe_path(name, root)
        assert path is not None
        recipe = load_recipe(path, root)
        assert recipe.name == name
        assert name.startswith("known-bad/") == (recipe.known_bad is not None)
        if recipe.known_bad:
            unknown = {*recipe.known_bad.probes, *recipe.known_bad.sometimes} - probes
            assert not unknown, f"{name} names probes that are not there: {unknown}"
            assert recipe.known_bad.probes, f"{name} names no probe that must fail"


def test_a_recipe_that_is_not_utf8(root: Path) -> None:
    path = write(root, "bad", STOCK)
    path.write_bytes(b'description = "M\xfcller"\n')
    with pytest.raises(RecipeError, match=r"kernel\.toml is not in UTF-8"):
        load_recipe(path, root)


def test_cures_of_the_repository_are_findings() -> None:
    pages = {page.stem for page in (resources() / "docs/findings").glob("*.md")}
    for name in recipe_names(resources()):
        path = recipe_path(name, resources())
        assert path is not None
        assert load_recipe(path, resources()).cures <= pages, name


def test_fixes_claims_what_its_parts_claim() -> None:
    """A cure that is not in the list of patches, or a patch without a claim, would go unseen."""
    for whole in ("fixes", "fixes-6.12"):
        top = resources() / "kernel-configs" / whole
        recipe = load_recipe(top / "kernel.toml", resources())
        listed = (top / "series").read_text()
        for part in top.glob("*/kernel.toml"):
            cures = load_recipe(part, resources()).cures
            assert cures == {part.parent.name}
            assert cures <= recipe.cures
            for patch in part.parent.glob("patches/*.patch"):
                assert f"{part.parent.name}/patches/{patch.name}\n" in listed
