# SPDX-License-Identifier: MIT
"""The mails of a cure: addressed, numbered, signed by their sender, with output from a record."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import PROGRAM_FAILED, RecipeError, SourceError, UsageError
from harness.core.paths import resources
from harness.jobs import fix_commands
from harness.kernel.recipe import Recipe, load_recipe
from harness.series.cure_mails import COVER, Recipients, mails_of, recipients_of
from harness.series.cure_runs import (
    RUNS,
    Run,
    Runs,
    digest_of,
    read_runs,
    selftest_of,
    write_runs,
)
from harness.verdict.result import Status

if TYPE_CHECKING:
    from pathlib import Path

PATCH = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: mte-harness <mte-harness@localhost>
Date: Mon, 30 Nov 2026 19:50:00 +0000
Subject: [PATCH] {subject}

Why.

Signed-off-by: mte-harness <mte-harness@localhost>
---
 {file} | 1 +
 1 file changed, 1 insertion(+)

diff --git a/{file} b/{file}
index 1111111..2222222 100644
--- a/{file}
+++ b/{file}
@@ -1 +1,2 @@
 a
+b
"""
TEST = "tools/testing/selftests/arm64/mte/check_x.c"
TO = Recipients(("Will <will@example.org>",), ("list@example.org", "Ann <ann@example.org>"))


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    place = tmp_path / "bug"
    place.mkdir()
    (place / "1.patch").write_text(PATCH.format(subject="mm: cure it", file="mm/a.c"))
    (place / "2.patch").write_text(PATCH.format(subject="selftests: test it", file=TEST))
    (place / "series").write_text("1.patch\n2.patch\n")
    (place / COVER).write_text("mm: a bug\n\nWhat a user sees.\n")
    toml = place / "kernel.toml"
    toml.write_text('description = "d"\ninherits = "stock"\npatches = "series"\n')
    return load_recipe(toml, resources())


def runs_of(recipe: Recipe) -> Runs:
    before = Run(
        "stock", "7.3.4", Status.FAIL, "TAP version 13\nnot ok 1 a\n", ("WARNING: mm/a.c:1",)
    )
    after = Run("bug", "7.3.4", Status.PASS, "TAP version 13\nok 1 a\n", ())
    return Runs(digest_of(recipe), "check_x", "2026-11-30", "linux-source-7.3", before, after)


def test_mails_are_numbered_and_addressed(recipe: Recipe) -> None:
    mails = mails_of(recipe, runs_of(recipe), TO, None)
    subjects = [mail.text.partition("Subject: ")[2].partition("\n")[0] for mail in mails]
    assert subjects == [
        "[PATCH 0/2] mm: a bug",
        "[PATCH 1/2] mm: cure it",
        "[PATCH 2/2] selftests: test it",
    ]
    for mail in mails:
        head = mail.text.partition("\n\n")[0]
        assert "To: Will <will@example.org>\n" in head
        assert "Cc: list@example.org,\n    Ann <ann@example.org>\n" in head
    assert [mail.name for mail in mails] == ["0000-cover-letter.patch", "1.patch", "2.patch"]


def test_cover_letter_has_the_output_of_the_record(recipe: Recipe) -> None:
    cover = mails_of(recipe, runs_of(recipe), TO, None)[0].text
    without, _, with_it = cover.partition("With it and")
    assert "  not ok 1 a\n" in without
    assert "  WARNING: mm/a.c:1\n" in without
    assert "  ok 1 a\n" in with_it
    assert "2 files changed, 2 insertions(+)" in with_it


def test_author_is_the_person_who_signs(recipe: Recipe) -> None:
    for mail in mails_of(recipe, runs_of(recipe), TO, "Jo <jo@example.org>"):
        assert "mte-harness" not in mail.text
        assert "\nFrom: Jo <jo@example.org>\n" in mail.text
    assert "Signed-off-by: Jo <jo@example.org>" in mail.text


def test_patches_of_the_mails_apply(recipe: Recipe, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("mm/a.c", TEST):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("a\n")
    for mail in mails_of(recipe, runs_of(recipe), TO, "Jo <jo@example.org>")[1:]:
        command = ["git", "apply", "-"]
        subprocess.run(command, cwd=tree, input=mail.text, text=True, check=True)
    assert (tree / TEST).read_text() == "a\nb\n"


def test_record_is_read_back(recipe: Recipe) -> None:
    runs = runs_of(recipe)
    write_runs(recipe, runs)
    assert read_runs(recipe) == runs
    assert selftest_of(recipe) == "check_x"


def test_record_of_other_patches_is_refused(recipe: Recipe) -> None:
    place = recipe.path.parent
    (place / RUNS).write_text(json.dumps(asdict(replace(runs_of(recipe), digest="0"))))
    with pytest.raises(RecipeError, match="of other patches"):
        read_runs(recipe)


def test_another_message_leaves_the_record_valid(recipe: Recipe) -> None:
    place = recipe.path.parent
    (place / RUNS).write_text(json.dumps(asdict(runs_of(recipe))))
    (place / "1.patch").write_text((place / "1.patch").read_text().replace("Why.", "Because."))
    read_runs(recipe)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"before": {}, "after": {}}', "\xff"])
def test_damaged_record_is_an_error_of_one_line(recipe: Recipe, text: str) -> None:
    (recipe.path.parent / RUNS).write_text(text)
    with pytest.raises(RecipeError, match="damaged"):
        read_runs(recipe)


def test_missing_record_names_the_command(recipe: Recipe) -> None:
    with pytest.raises(RecipeError) as caught:
        read_runs(recipe)
    assert caught.value.cure == "mte-harness fix record bug"


def fake_tree(tmp_path: Path, lines: str) -> Path:
    script = tmp_path / "tree/scripts/get_maintainer.pl"
    script.parent.mkdir(parents=True)
    script.write_text(f"print <<'E';\n{lines}E\n")
    return tmp_path / "tree"


def test_maintainers_are_to_and_others_cc(recipe: Recipe, tmp_path: Path) -> None:
    tree = fake_tree(
        tmp_path,
        "Will <w@example.org> (maintainer:ARM64 PORT (AARCH64 ARCHITECTURE))\n"
        '"Ann (B)" <a@example.org> (reviewer:FUTEX SUBSYSTEM)\n'
        "list@example.org (moderated list:ARM64 PORT (AARCH64 ARCHITECTURE))\n",
    )
    found = recipients_of([recipe.path.parent / "1.patch"], tree)
    assert found.to == ("Will <w@example.org>",)
    assert found.cc == ('"Ann (B)" <a@example.org>', "list@example.org")


def test_unknown_line_of_get_maintainer_is_an_error(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="unknown form"):
        recipients_of([recipe.path.parent / "1.patch"], fake_tree(tmp_path, "nobody\n"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.PASS, Status.PASS),
        (Status.FAIL, Status.FAIL),
        (Status.FAIL, Status.SKIP),
        # The test did not run: a guest without CPU, a program that could not begin.
        (Status.UNTESTED, Status.PASS),
        (Status.ERROR, Status.PASS),
    ],
)
def test_a_test_that_proves_nothing_leaves_no_record(
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    before: Status,
    after: Status,
) -> None:
    runs = runs_of(recipe)
    runs = replace(
        runs, before=replace(runs.before, status=before), after=replace(runs.after, status=after)
    )
    monkeypatch.setattr(fix_commands, "_find", lambda _: recipe)
    monkeypatch.setattr(fix_commands, "Session", lambda *_: None)
    monkeypatch.setattr(fix_commands, "make_runs", lambda *_: runs)
    assert fix_commands.record_command.main(["bug"], standalone_mode=False) == PROGRAM_FAILED
    assert "nothing is written" in capsys.readouterr().err
    assert not (recipe.path.parent / RUNS).exists()


def test_an_author_without_an_address_is_refused() -> None:
    with pytest.raises(UsageError, match="no name with an address"):
        fix_commands.show_command.main(["thp-partial-tag", "--author", "Jo"], standalone_mode=False)


def test_an_unknown_cure_lists_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        fix_commands.show_command.main(["no"], standalone_mode=False)
    assert "thp-partial-tag" in (caught.value.cure or "")
