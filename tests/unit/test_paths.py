# SPDX-License-Identifier: MIT
"""Where the cache may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core import paths
from harness.core.errors import UsageError
from harness.core.paths import CACHE_VARIABLE, cache_root, make_cache


@pytest.mark.parametrize("name", ["a b", "a:b", "a;b", "a'b", "a\tb", "a$b", "a#b"])
def test_paths_that_kbuild_or_the_loader_would_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / name))
    with pytest.raises(UsageError, match=rf"in its path \(set {CACHE_VARIABLE}"):
        cache_root()


@pytest.mark.parametrize("name", ["grün", "a-b_c.d+f@g%h=i(1)", "~x"])
def test_other_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / name))
    assert cache_root() == tmp_path / name


def test_no_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(paths, "user_cache_dir", lambda _name: "~/.cache/mte-harness")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UsageError):
        cache_root()


def test_the_cache_is_a_file_or_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept\n")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"the cache cannot be at .*/file"):
            make_cache(path)
    assert (tmp_path / "file").read_text() == "kept\n"
    with pytest.raises(UsageError, match="the cache cannot be at /proc/mte-harness"):
        make_cache(Path("/proc/mte-harness"))
    make_cache(tmp_path / "new" / "cache")
    assert list((tmp_path / "new" / "cache").iterdir()) == []
