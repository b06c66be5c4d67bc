# SPDX-License-Identifier: MIT
"""--series FILE: what people have as a series, and what is none."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import PatchError, UsageError
from harness.core.progress import Silent
from harness.kernel.series import Series, load_series, series_name

if TYPE_CHECKING:
    from pathlib import Path

DIFF = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+{new}\n"
FROM = "From mboxrd@z Mon Sep 17 00:00:00 2001\n"


def mail(subject: str, new: str = "new", *, body: str | None = None, headers: str = "") -> str:
    text = f"Words.\n---\n{DIFF.format(new=new)}-- \n2.39\n" if body is None else body
    return f"From: A <a@b>\nSubject: {subject}\n{headers}\n{text}\n"


def box(*mails: str) -> bytes:
    return "".join(FROM + text for text in mails).encode()


class Told(Silent):
    """Remembers the steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)


def load(path: Path, content: bytes | str | None = None, told: Silent | None = None) -> Series:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (series,) = load_series([path], told or Silent())
    return series


def names(series: Series) -> list[str]:
    return [patch.name for patch in series.patches]


def test_a_thread_as_a_list_archive_has_it(tmp_path: Path) -> None:
    """v1 and v2, replies with diffs, a cover letter with the difference to v1."""
    thread = box(
        mail("[PATCH 0/1] mte: fix", body="Cover.\n"),
        mail("[PATCH 1/1] mte: fix it", "v1"),
        mail("[PATCH v2 0/2] mte: fix", body=f"Cover.\n\n{DIFF.format(new='interdiff')}"),
        mail("Re: [PATCH v2 2/2] mte: test it", "suggested"),
        mail("[PATCH v2 2/2] mte: test it", "v2-2"),
        mail("[PATCH v2 1/2] mte: fix it", "v2-1"),
    )
    told = Told()
    series = load(tmp_path / "v2-mte-fix.mbx", thread, told)
    assert names(series) == [
        "v2-mte-fix.mbx 1/2: mte: fix it",
        "v2-mte-fix.mbx 2/2: mte: test it",
    ]
    assert [b"+v2-1\n" in series.patches[0].text, b"+v2-2\n" in series.patches[1].text] == [
        True
    ] * 2
    assert told.steps == [
        "v2-mte-fix.mbx: left out: [PATCH 1/1] mte: fix it",
        "v2-mte-fix.mbx: left out: Re: [PATCH v2 2/2] mte: test it",
    ]
    assert str(series) == "with 2 patches of v2-mte-fix.mbx"


ENCODED = base64.encodebytes(b"Words.\r\n---\r\n" + DIFF.replace("\n", "\r\n").encode()).decode()
QUOTED = DIFF.format(new="new").replace("@@ -1", "@@ =\n-1")


@pytest.mark.parametrize(
    "content",
    [
        DIFF.format(new="new").encode(),
        DIFF.format(new="new").replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + DIFF.format(new="new").encode(),
        b"commit 0123456789\nAuthor: A <a@b>\n\n    words\n\n" + DIFF.format(new="new").encode(),
        DIFF.format(new="new").replace("diff --git a/f b/f\n", "").encode(),
        mail("[PATCH] mte: fix it").encode(),
        mail("[PATCH] mte: fix it").replace("\n", "\r\n").encode(),
        box(mail("[PATCH] mte: fix it")).replace(b"\n", b"\r\n"),
        box(mail("mte: fix it", headers="Content-Transfer-Encoding: base64\n", body=ENCODED)),
        box(
            mail(
                "[PATCH] mte: fix it",
                headers="Content-Transfer-Encoding: quoted-printable\n",
                body=f"Words.\n---\n{QUOTED}",
            )
        ),
        gzip.compress(box(mail("[PATCH] mte: fix it"))),
        gzip.compress(DIFF.format(new="new").encode()),
    ],
    ids=["diff", "crlf", "bom", "git_show", "plain_diff", "mail", "mail_crlf", "mbox_crlf",
         "base64_crlf", "quoted_printable", "mbox_gz", "diff_gz"],
)  # fmt: skip
def test_one_patch_however_it_was_saved(tmp_path: Path, content: bytes) -> None:
    (patch,) = load(tmp_path / "x", content).patches
    assert b"\n@@ -1 +1 @@\n-old\n+" in patch.text
    assert b"\r" not in patch.text
    assert patch.name in ("x", "x: mte: fix it")


def test_cr_lf_in_what_is_patched_stays(tmp_path: Path) -> None:
    text = DIFF.format(new="new\r").replace("-old", "-old\r")
    (patch,) = load(tmp_path / "x.diff", text).patches
    assert patch.text == text.encode()


def test_a_directory_of_patches(tmp_path: Path) -> None:
    directory = tmp_path / "mte fix"
    directory.mkdir()
    for name, subject in {
        "0001-a.patch": "[PATCH 1/2] a",
        "v2-0001-b.patch": "[PATCH v2 1/2] b",
        "v2-0002-c.patch": "[PATCH v2 2/2] c",
        "v2-0002-c.patch~": "[PATCH v2 2/2] older",
        "README": "no patch",
    }.items():
        (directory / name).write_bytes(box(mail(subject)))
    series = load(directory)
    assert names(series) == ["mte fix 1/2: b", "mte fix 2/2: c"]
    assert series.name == "mte-fix"


def test_diffs_in_a_directory_are_counted_as_people_count(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        (tmp_path / f"{number}.diff").write_text(DIFF.format(new=number))
    assert [name.split(": ")[1] for name in names(load(tmp_path))] == [
        "1.diff", "9.diff", "10.diff",
    ]  # fmt: skip


def test_a_diff_among_numbered_patches_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "v2-0001-a.patch").write_bytes(box(mail("[PATCH v2 1/1] a")))
    (tmp_path / "more.diff").write_text(DIFF.format(new="more"))
    with pytest.raises(UsageError, match="more than one series"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["series", ""])
def test_a_list_of_patches(tmp_path: Path, name: str) -> None:
    (tmp_path / "b.patch").write_text(DIFF.format(new="b"))
    (tmp_path / "a.patch").write_bytes(box(mail("[PATCH] a")))
    (tmp_path / "series").write_text("# order\nb.patch -p1\na.patch\n")
    assert names(load(tmp_path / name)) == ["b.patch", "a.patch"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "x is empty"),
        ("\n\n", "x is empty"),
        ("Some notes on the series.\nmore\n", "x has no patch"),
        ("a" * 5000, "x has no patch"),
        (b"\x7fELF\0\0\0", "x is binary"),
        (DIFF.encode("utf-16"), "x is binary"),
        (box(mail("[PATCH 0/2] cover", body="Words.\n")), "x: no patch in it"),
        (box(mail("Re: [PATCH] a")), "x: no patch in it"),
        (box(mail("[PATCH 2/2] b")), "patch 1/2 is missing"),
        (gzip.compress(box(mail("[PATCH] a")))[:-9], "damaged gzip file"),
        ("Some words on\nx\n", "x has no patch"),
        ("x\nno.patch\n", "there is no patch no.patch"),
        ("# nothing\n", "x has no patch"),
    ],
)
def test_what_is_no_series(tmp_path: Path, content: bytes | str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        load(tmp_path / "x", content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"--series: {tmp_path / 'x'}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    for path, said in {
        tmp_path / "no.mbox": "there is no",
        tmp_path / ("x" * 300): "File name too long",
        tmp_path / "kernel": "neither patches nor a file 'series' in it",
    }.items():
        with pytest.raises(UsageError, match=said):
            load(path)
    with pytest.raises(UsageError, match="no regular file"):
        load_series([type(tmp_path)("/dev/null")], Silent())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            DIFF.format(new="new").replace("@@ -1 +1", "@@ -1,3 +1,3"),
            "is damaged: corrupt patch at",
        ),
        (DIFF.format(new="new") + "diff --cc g\n@@@ -1,1 -1,1 +1,1 @@@\n", "diff of a merge"),
    ],
)
def test_a_patch_that_no_tree_takes(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PatchError, match=f"patch x.mbox 1/2: a.* {said}") as caught:
        load(
            tmp_path / "x.mbox",
            box(mail("[PATCH 1/2] a", body=f"---\n{text}"), mail("[PATCH 2/2] b")),
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/tmp/v3-mte-fix.mbox", "v3-mte-fix"),
        ("/tmp/v3_20240101_a_b_mte.mbx", "v3_20240101_a_b_mte"),
        ("/tmp/t.mbox.gz", "t"),
        ("/tmp/20240101.123-1-a@b.c.mbox", "20240101.123-1-a-b.c"),
        ("/tmp/fix [v2] (1).patch", "fix-v2-1"),
        ("/linux/patches/series", "linux"),
        ("/linux/mte-fix/", "mte-fix"),
        ("/\u4e2d\u6587.patch", "series"),
        ("/tmp/.patch", "tmp"),
        (f"/tmp/{'x' * 200}.patch", "x" * 40),
        ("/", "series"),
    ],
)
def test_names_are_short_and_fit_a_test_id(tmp_path: Path, path: str, name: str) -> None:
    assert series_name(type(tmp_path)(path)) == name
