# SPDX-License-Identifier: MIT
"""A series as commits and back: what was not edited comes back byte for byte."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.core.errors import PatchError, UsageError
from harness.core.progress import Silent
from harness.core.toolchain import clean_environment
from harness.host.debian_source import SourceTarball
from harness.kernel import base
from harness.kernel.patches import read_patches
from harness.kernel.recipe import Recipe, load_recipe
from harness.kernel.sources import Places
from harness.series import edit
from harness.series.edit import make_tree, write_back

FAKE = Path(__file__).parent / "fakelinux"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FAKE, tmp_path / "linux")
    (tmp_path / "linux/gitignore").rename(tmp_path / "linux/.gitignore")
    tarball = tmp_path / "linux-source-1.tar.xz"
    subprocess.run(["tar", "-cJf", tarball, "-C", tmp_path, "linux"], check=True)
    monkeypatch.setattr(base, "source_places", lambda *_: Places(("trixie",), (), ""))
    monkeypatch.setattr(base, "package_in_suite", lambda *_: SourceTarball(tarball, "linux 1-1"))
    write(tmp_path, "stock", 'description="d"\n[base]\ndebian="linux-source-1"\n')
    write(tmp_path, "odd", 'description="o"\ninherits="stock"\npatches="patches/series"\n')
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    directory = root / "kernel-configs" / name
    (directory / "patches").mkdir(parents=True)
    (directory / "patches/series").write_text("")
    (directory / "kernel.toml").write_text(text)


def recipe(root: Path, name: str) -> Recipe:
    return load_recipe(root / "kernel-configs" / name / "kernel.toml", root)


def commit(tree: Path, name: str, old: str, new: str, subject: str) -> None:
    path = tree / name
    path.write_text(path.read_text().replace(old, new))
    git = ["git", "-C", str(tree), "-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run([*git, "commit", "-qam", subject], check=True)


def patches(root: Path, name: str) -> dict[str, bytes]:
    directory = root / "kernel-configs" / name / "patches"
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def series_of_two(root: Path) -> dict[str, bytes]:
    tree = root / "tree"
    make_tree(recipe(root, "odd"), tree, root / "cache", Silent())
    commit(tree, "mm/memory.c", "int page = entry", "int page = -entry", "mm: one")
    commit(tree, "mm/swap.c", "-entry", "+entry", "mm: two")
    write_back(recipe(root, "odd"), tree)
    return patches(root, "odd")


def test_no_git_gc_runs_in_the_background(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = root / "trace"
    monkeypatch.setattr(
        edit, "clean_environment", lambda: clean_environment() | {"GIT_TRACE": str(trace)}
    )
    series_of_two(root)
    make_tree(recipe(root, "odd"), root / "again", root / "cache", Silent())
    lines = trace.read_text()
    assert "built-in: git am" in lines
    assert "maintenance" not in lines
    assert "gc" not in lines.replace(str(root), "")


def test_commits_become_a_series(root: Path) -> None:
    files = series_of_two(root)
    assert sorted(files) == ["0001-mm-one.patch", "0002-mm-two.patch", "series"]
    assert files["series"].splitlines()[1:] == [b"0001-mm-one.patch", b"0002-mm-two.patch"]
    assert files["0001-mm-one.patch"].startswith(b"From 0000000000")
    assert len(read_patches(recipe(root, "odd").patches, Silent())) == 2


def test_there_and_back_changes_nothing(root: Path) -> None:
    before = series_of_two(root)
    again = root / "again"
    make_tree(recipe(root, "odd"), again, root / "cache", Silent())
    write_back(recipe(root, "odd"), again)
    assert patches(root, "odd") == before


def test_dropped_patch_leaves_no_file(root: Path) -> None:
    series_of_two(root)
    tree = root / "tree"
    subprocess.run(["git", "-C", tree, "reset", "-q", "--hard", "HEAD~1"], check=True)
    write_back(recipe(root, "odd"), tree)
    assert sorted(patches(root, "odd")) == ["0001-mm-one.patch", "series"]


def test_only_own_patches_are_written_back(root: Path) -> None:
    series_of_two(root)
    write(root, "heir", 'description="h"\ninherits="odd"\npatches="patches/series"\n')
    tree = root / "heir"
    make_tree(recipe(root, "heir"), tree, root / "cache", Silent())
    assert "+entry" in (tree / "mm/swap.c").read_text()
    commit(tree, "mm/swap.c", "+entry", "0", "mm: three")
    write_back(recipe(root, "heir"), tree)
    assert sorted(patches(root, "heir")) == ["0001-mm-three.patch", "series"]


def test_uncommitted_change_is_not_lost(root: Path) -> None:
    series_of_two(root)
    tree = root / "tree"
    (tree / "mm/swap.c").write_text("")
    with pytest.raises(UsageError, match="not committed"):
        write_back(recipe(root, "odd"), tree)


def test_patch_that_does_not_apply_says_how_to_go_on(root: Path) -> None:
    files = series_of_two(root)
    path = root / "kernel-configs/odd/patches/0002-mm-two.patch"
    path.write_bytes(files["0002-mm-two.patch"].replace(b"swap_free", b"swap_keep"))
    with pytest.raises(PatchError, match="git am --continue"):
        make_tree(recipe(root, "odd"), root / "again", root / "cache", Silent())


def test_recipe_without_patches_and_directory_in_use(root: Path) -> None:
    with pytest.raises(UsageError, match="names no patches of its own"):
        write_back(recipe(root, "stock"), root)
    with pytest.raises(UsageError, match="is not empty"):
        make_tree(recipe(root, "odd"), root, root / "cache", Silent())
