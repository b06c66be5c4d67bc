# SPDX-License-Identifier: MIT
"""The mirror of a user's source directory: exact, frugal, and never a write to the source."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.core.errors import SourceError
from harness.core.progress import Silent
from harness.host import mirror as tree
from harness.host.mirror import Mirror
from harness.kernel.build import OBJECTS

FAKE = Path(__file__).parent / "fakelinux"


class Steps(Silent):
    """Counts how often the source was read."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def step(self, text: str) -> None:
        self.seen.append(text)


@pytest.fixture(params=["tarball", "git"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    source = tmp_path / "linux"
    shutil.copytree(FAKE, source)
    (source / "gitignore").rename(source / ".gitignore")
    if request.param == "git":
        git(source, "init", "-q")
        git(source, "add", "--all", "--force")
        git(source, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "base")
    return source


def git(source: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(source), *words], check=True)


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino)
        for path in sorted(directory.rglob("*"))
    }


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not {".git", OBJECTS} & set(path.relative_to(directory).parts)
    }


@pytest.fixture
def mirror(source: Path, tmp_path: Path) -> Mirror:
    home = tmp_path / "home"
    home.mkdir()
    return Mirror(source, home)


def test_first_copy_is_whole(mirror: Mirror, source: Path) -> None:
    mirror.refresh(Silent())
    wanted = content(source)
    if not (source / ".git").exists():
        del wanted[".gitignore"]  # "/.*": no build reads it
    assert content(mirror.tree) == wanted


def test_source_is_never_written(mirror: Mirror, source: Path) -> None:
    before = snapshot(source)
    mirror.refresh(Silent())
    (mirror.tree / "mm/memory.c").write_text("")
    mirror.refresh(Silent())
    assert snapshot(source) == before


def test_build_products_stay_out(mirror: Mirror, source: Path) -> None:
    digest = mirror.refresh(Silent())
    for name in (
        "vmlinux", "System.map", ".config", "mm/memory.o", "mm/.memory.o.cmd",
        "include/config/auto.conf", "include/generated/autoconf.h", "Module.symvers",
    ):  # fmt: skip
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("product")
    assert mirror.refresh(Silent()) == digest
    assert not (mirror.tree / ".config").exists()
    assert not (mirror.tree / "include").exists()
    assert not (mirror.tree / "mm/memory.o").exists()


def test_edit_reaches_the_mirror_and_only_it(mirror: Mirror, source: Path) -> None:
    digest = mirror.refresh(Silent())
    before = snapshot(mirror.tree)
    (source / "mm/swap.c").write_text("int edited;\n")
    assert mirror.refresh(Silent()) != digest
    after = snapshot(mirror.tree)
    changed = [name for name in after if after[name] != before.get(name)]
    assert [name.removeprefix(str(mirror.tree)) for name in changed if name[-2:] == ".c"] == [
        "/mm/swap.c"
    ]
    assert (mirror.tree / "mm/swap.c").read_text() == "int edited;\n"


def test_edit_with_an_old_mtime_and_the_same_size(mirror: Mirror, source: Path) -> None:
    digest = mirror.refresh(Silent())
    path = source / "mm/swap.c"
    stamp = path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("-entry", "+entry"))
    os.utime(path, ns=(stamp, stamp))
    assert mirror.refresh(Silent()) != digest
    assert "+entry" in (mirror.tree / "mm/swap.c").read_text()


def test_touch_and_revert_leave_the_mirror_alone(mirror: Mirror, source: Path) -> None:
    digest = mirror.refresh(Silent())
    before = snapshot(mirror.tree)
    path = source / "mm/swap.c"
    text = path.read_text()
    path.unlink()
    path.write_text(text)
    assert mirror.refresh(Silent()) == digest
    assert snapshot(mirror.tree) == before


def test_new_and_deleted_files(mirror: Mirror, source: Path) -> None:
    digest = mirror.refresh(Silent())
    (source / "mm/new").mkdir()
    (source / "mm/new/x.c").write_text("")
    (source / "mm/swap.c").unlink()
    assert mirror.refresh(Silent()) != digest
    assert (mirror.tree / "mm/new/x.c").exists()
    assert not (mirror.tree / "mm/swap.c").exists()


def test_file_becomes_directory_and_back(mirror: Mirror, source: Path) -> None:
    digest = mirror.refresh(Silent())
    text = (source / "mm/swap.c").read_text()
    (source / "mm/swap.c").unlink()
    (source / "mm/swap.c").mkdir()
    (source / "mm/swap.c/x.h").write_text("x")
    mirror.refresh(Silent())
    assert (mirror.tree / "mm/swap.c/x.h").exists()
    shutil.rmtree(source / "mm/swap.c")
    (source / "mm/swap.c").write_text(text)
    assert mirror.refresh(Silent()) == digest
    assert (mirror.tree / "mm/swap.c").read_text() == text


def test_mode_and_link_are_content(mirror: Mirror, source: Path) -> None:
    digests = {mirror.refresh(Silent())}
    (source / "scripts/conf").chmod(0o755)
    digests.add(mirror.refresh(Silent()))
    assert os.access(mirror.tree / "scripts/conf", os.X_OK)
    (source / "mm/link.h").symlink_to("../Kconfig")
    digests.add(mirror.refresh(Silent()))
    (source / "mm/link.h").unlink()
    (source / "mm/link.h").symlink_to("../Makefile")
    digests.add(mirror.refresh(Silent()))
    assert (mirror.tree / "mm/link.h").readlink() == Path("../Makefile")
    assert len(digests) == 4


def test_unchanged_source_is_not_read(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "RACY_NS", 0)  # the fixture's files are too young
    mirror.refresh(Silent())
    steps = Steps()
    mirror.refresh(steps)
    assert steps.seen == []


def test_fresh_edit_is_looked_at_again(mirror: Mirror, source: Path) -> None:
    """Two edits of one size within one tick of the clock leave the same stamp."""
    (source / "mm/swap.c").write_text("int a;\n")
    mirror.refresh(Silent())
    steps = Steps()
    mirror.refresh(steps)
    assert len(steps.seen) == 1


@pytest.mark.parametrize("damage", ["garbage", "interrupted", "missing"])
def test_lost_state_is_made_good(mirror: Mirror, source: Path, damage: str) -> None:
    digest = mirror.refresh(Silent())
    objects = mirror.tree / OBJECTS
    objects.mkdir()
    (objects / "x.o").write_text("object")
    before = snapshot(mirror.tree)
    (mirror.tree / "mm/stale.c").write_text("left over")
    (mirror.tree / "mm/swap.c").write_text("half")
    state = mirror.tree.parent / "state.json"
    match damage:
        case "garbage":
            state.write_text("{")
        case "interrupted":
            state.write_text('{"files": {}, "watched": {}, "digest": ""}')
        case _:
            state.unlink()
    assert mirror.refresh(Silent()) == digest
    assert not (mirror.tree / "mm/stale.c").exists()
    assert (mirror.tree / "mm/swap.c").read_text() == (source / "mm/swap.c").read_text()
    assert (objects / "x.o").exists()
    memory = str(mirror.tree / "mm/memory.c")
    assert snapshot(mirror.tree)[memory] == before[memory]


def test_same_content_elsewhere_has_the_same_hash(
    mirror: Mirror, source: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source, copy, symlinks=True)
    (tmp_path / "home2").mkdir()
    assert Mirror(copy, tmp_path / "home2").refresh(Silent()) == mirror.refresh(Silent())


def test_no_kernel_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no kernel source: it has no Makefile"):
        Mirror(tmp_path, tmp_path).refresh(Silent())
