# SPDX-License-Identifier: MIT
"""Patches apply exactly, or say which one, which file and which hunk."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import DiskFullError, PatchError, RecipeError
from harness.core.progress import Silent
from harness.kernel import patches as module
from harness.kernel.patches import Patch, apply_patches, read_patches

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = "".join(f"line {number}\n" for number in range(1, 31))
DIFF = """\
diff --git a/mm/memory.c b/mm/memory.c
--- a/mm/memory.c
+++ b/mm/memory.c
@@ -9,3 +9,2 @@ do_swap_page
 line 9
-line 10
 line 11
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "src"
    (tree / "mm").mkdir(parents=True)
    (tree / "mm/memory.c").write_text(BEFORE)
    return tree


def apply(tree: Path, diff: str = DIFF, name: str = "0001-x.patch") -> None:
    apply_patches([Patch(name, diff.encode())], tree, Silent())


def test_applies(tree: Path) -> None:
    apply(tree)
    assert (tree / "mm/memory.c").read_text() == BEFORE.replace("line 10\n", "")


def test_applies_where_lines_have_moved(tree: Path) -> None:
    (tree / "mm/memory.c").write_text("new\n" * 5 + BEFORE)
    apply(tree)
    assert "line 10\n" not in (tree / "mm/memory.c").read_text()


def test_never_writes_through_a_hard_link(tree: Path) -> None:
    os.link(tree / "mm/memory.c", tree / "pristine")
    apply(tree)
    assert (tree / "pristine").read_text() == BEFORE


def test_applies_inside_another_repository(tree: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tree.parent)], check=True)
    apply(tree)
    assert "line 10\n" not in (tree / "mm/memory.c").read_text()


def test_changed_context_is_refused_with_its_hunk(tree: Path) -> None:
    (tree / "mm/memory.c").write_text(BEFORE.replace("line 9\n", "line nine\n"))
    with pytest.raises(PatchError) as caught:
        apply(tree)
    assert "0001-x.patch" in caught.value.cause
    assert "mm/memory.c, hunk @@ -9,3 +9,2 @@ do_swap_page" in caught.value.cause
    assert (tree / "mm/memory.c").read_text() == BEFORE.replace("line 9\n", "line nine\n")


def test_missing_file_is_named(tree: Path) -> None:
    (tree / "mm/memory.c").unlink()
    with pytest.raises(PatchError, match=r"mm/memory\.c: No such file"):
        apply(tree)


def test_applied_already(tree: Path) -> None:
    apply(tree)
    with pytest.raises(PatchError, match="has its change already"):
        apply(tree)


def test_corrupt_patch(tree: Path) -> None:
    with pytest.raises(PatchError, match="corrupt patch at"):
        apply(tree, DIFF.replace(" line 11\n", ""))


def test_full_disk(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = b"error: unable to write file 'mm/memory.c': No space left on device\n"

    def full(*_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], 1, b"", said)

    monkeypatch.setattr(module, "_git_apply", full)
    with pytest.raises(DiskFullError):
        apply(tree)


def test_series_in_order_without_comments(tmp_path: Path) -> None:
    for name in ("a.patch", "b.patch"):
        (tmp_path / name).write_text(name)
    series = tmp_path / "series"
    series.write_text("# SPDX\nb.patch # first\n\na.patch\n")
    assert [patch.name for patch in read_patches([series], Silent())] == ["b.patch", "a.patch"]


def test_series_names_a_missing_patch(tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.write_text("# SPDX\nno.patch\n")
    with pytest.raises(RecipeError, match=r"series:2: there is no patch no\.patch"):
        read_patches([series], Silent())


def mail(subject: str, body: str) -> str:
    return (
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"
        f"From: A <a@b>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nSubject: [PATCH] {subject}\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
        f"Content-Transfer-Encoding: quoted-printable\n\nWords.\n---\n{body}\n"
    )


def test_mbox_is_decoded_and_its_cover_letter_skipped(tmp_path: Path, tree: Path) -> None:
    box = tmp_path / "x.mbox"
    encoded = DIFF.replace("-line 10", "-line=2010")
    box.write_text(mail("cover", "Nothing.") + mail("mm: break it", encoded))
    found = read_patches([box], Silent())
    assert [patch.name for patch in found] == ["x.mbox: mm: break it"]
    apply_patches(found, tree, Silent())
    assert "line 10\n" not in (tree / "mm/memory.c").read_text()


def test_mbox_without_a_patch(tmp_path: Path) -> None:
    box = tmp_path / "x.mbox"
    box.write_text(mail("cover", "Nothing."))
    with pytest.raises(RecipeError, match="no patch in it"):
        read_patches([box], Silent())
