# SPDX-License-Identifier: MIT
"""Series as mailing lists send them: replies, old versions, any order, packed."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import RecipeError
from harness.kernel.mbox import is_mbox, read_mbox

if TYPE_CHECKING:
    from pathlib import Path

DIFF = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+{new}\n-- \n2.39\n"


def mail(subject: str, new: str = "new", *, diff: bool = True) -> str:
    body = DIFF.format(new=new) if diff else "Looks good.\n"
    return (
        "From mboxrd@z Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\n"
        "Date: Mon, 1 Jan 2024 00:00:00 +0000\n"
        f"Subject: {subject}\n\nWords.\n---\n{body}\n"
    )


def box(directory: Path, *mails: str) -> Path:
    path = directory / "x.mbox"
    path.write_text("".join(mails), encoding="utf-8")
    return path


def titles(path: Path) -> list[str]:
    return [mail.title for mail in read_mbox(path).mails]


def test_a_reply_with_a_suggested_diff_is_no_patch(tmp_path: Path) -> None:
    path = box(
        tmp_path,
        mail("[PATCH 0/2] cover", diff=False),
        mail("[PATCH 1/2] mm: one"),
        mail("[PATCH 2/2] mm: two"),
        mail("Re: [PATCH 2/2] mm: two", "suggested"),
    )
    assert titles(path) == ["mm: one", "mm: two"]
    assert read_mbox(path).left_out == ("Re: [PATCH 2/2] mm: two",)


def test_patches_come_in_their_order(tmp_path: Path) -> None:
    numbers = [3, 1, 10, 2, 9, 4, 5, 6, 7, 8]
    path = box(tmp_path, *(mail(f"[PATCH {n}/10] p{n}") for n in numbers))
    assert titles(path) == [f"p{n}" for n in range(1, 11)]


def test_the_newest_version_counts(tmp_path: Path) -> None:
    path = box(
        tmp_path,
        mail("[RFC PATCH v2 1/1] mm: second"),
        mail("[PATCH 1/2] mm: first"),
        mail("[PATCH 2/2] mm: gone"),
        mail("[PATCH v10 net-next 1/1] mm: tenth"),
    )
    assert titles(path) == ["mm: tenth"]
    assert len(read_mbox(path).left_out) == 3


def test_untagged_mails_are_taken_as_they_are(tmp_path: Path) -> None:
    path = box(tmp_path, mail("mm: one"), mail("mm: two"), mail("Re: mm: two"))
    assert titles(path) == ["mm: one", "mm: two"]


def test_subjects_are_decoded(tmp_path: Path) -> None:
    path = box(tmp_path, mail("=?utf-8?q?=5BPATCH_1/1=5D_gr=C3=BCn?=\n and folded"))
    assert titles(path) == ["grün and folded"]


def test_a_packed_mbox(tmp_path: Path) -> None:
    plain = box(tmp_path, mail("[PATCH 1/1] mm: one"))
    packed = tmp_path / "x.mbox.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert is_mbox(packed)
    assert titles(packed) == ["mm: one"]
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-9])
    with pytest.raises(RecipeError, match="damaged gzip file"):
        is_mbox(packed)


@pytest.mark.parametrize(
    ("subjects", "said"),
    [
        (["[PATCH 1/3] a", "[PATCH 3/3] c"], "patch 2/3 is missing"),
        (["[PATCH 1/1] a", "[PATCH 1/1] b"], "two patches 1/1"),
        (["[PATCH 1/1] a", "[PATCH 1/2] b", "[PATCH 2/2] c"], "more than one series"),
        (["[PATCH 1/1] a", "[PATCH] b"], "more than one series"),
        (["Re: [PATCH 1/1] a"], "no patch in it"),
    ],
)
def test_refused(tmp_path: Path, subjects: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        read_mbox(box(tmp_path, *map(mail, subjects)))
    assert "\n" not in str(caught.value)
