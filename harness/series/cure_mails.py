# SPDX-License-Identifier: MIT
"""The mails of a cure as git-send-email(1) takes them: a cover letter, then the patches."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import RecipeError, SourceError
from harness.core.toolchain import clean_environment
from harness.series.prefix import series_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.kernel.recipe import Recipe
    from harness.series.cure_runs import Run, Runs

COVER = "cover.txt"
COVER_FILE = "0000-cover-letter.patch"
# scripts/get_maintainer.pl: "Name <address> (role:subsystem)", for a list without a name. A name
# may have parentheses in it, and so may a subsystem.
_WHO = re.compile(r"(?P<who>.*?[^\s<]+@[^\s>]+>?) \((?P<role>.*)\)")
_ROLES_TO = ("maintainer", "supporter")
_SUBJECT = re.compile(r"^Subject: \[PATCH\] ", re.MULTILINE)
_DATE = re.compile(r"^Date: .*\n", re.MULTILINE)
_AUTHOR = re.compile(r"^(From|Signed-off-by): (.* <.*>)$", re.MULTILINE)


@dataclass(frozen=True)
class Mail:
    """A mail: the name of its file, and its text."""

    name: str
    text: str


@dataclass(frozen=True)
class Recipients:
    """Whom the mails go to: maintainers, and reviewers and lists."""

    to: tuple[str, ...]
    cc: tuple[str, ...]

    def headers(self) -> str:
        """Return the two headers, one address a line."""
        return f"To: {_folded(self.to)}\nCc: {_folded(self.cc)}\n"


def _folded(addresses: Sequence[str]) -> str:
    return ",\n    ".join(addresses)


def recipients_of(patches: Sequence[Path], tree: Path) -> Recipients:
    """Ask the tree's scripts/get_maintainer.pl for the recipients of all patches.

    It is told not to look at git's history, which a tarball has not. Raise SourceError.
    """
    to: dict[str, None] = {}
    cc: dict[str, None] = {}
    for patch in patches:
        done = subprocess.run(
            ["perl", "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback", str(patch)],
            cwd=tree,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SourceError("get_maintainer.pl failed", details=done.stderr)
        for line in done.stdout.splitlines():
            found = _WHO.fullmatch(line)
            if found is None:
                raise SourceError("get_maintainer.pl printed a line of unknown form", details=line)
            (to if found["role"].startswith(_ROLES_TO) else cc)[found["who"]] = None
    return Recipients(tuple(to), tuple(who for who in cc if who not in to))


def mails_of(recipe: Recipe, runs: Runs, recipients: Recipients, author: str | None) -> list[Mail]:
    """Return cover letter and patches.

    ``author`` ("Name <address>") takes the place of whom the patches name as author and signer.
    Raise RecipeError if there is no cover letter.
    """
    files = series_files(recipe)
    total = len(files)
    headers = recipients.headers()
    texts = [file.read_text(encoding="utf-8") for file in files]
    first = texts[0]
    head = first[: first.index("Subject: ")]
    subject, body = _cover(recipe.path.parent / COVER)
    parts = [body, _evidence(runs), _stat("".join(texts))]
    cover = f"{head}Subject: [PATCH 0/{total}] {subject}\n\n" + "\n".join(parts)
    mails = [Mail(COVER_FILE, cover)]
    for number, (file, text) in enumerate(zip(files, texts, strict=True), 1):
        numbered = _SUBJECT.sub(f"Subject: [PATCH {number}/{total}] ", text, count=1)
        mails.append(Mail(file.name, numbered))
    return [Mail(mail.name, _addressed(mail.text, headers, author)) for mail in mails]


def _addressed(text: str, headers: str, author: str | None) -> str:
    text = _DATE.sub(lambda date: date[0] + headers, text, count=1)
    if author is None:
        return text
    return _AUTHOR.sub(lambda line: f"{line[1]}: {author}", text)


def _cover(path: Path) -> tuple[str, str]:
    """Return subject and body of a cover letter's file."""
    if not path.is_file():
        raise RecipeError(f"there is no {path}", "write it: the subject, an empty line, the text")
    subject, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    return subject, body


def _evidence(runs: Runs) -> str:
    before, after = runs.before, runs.after
    return (
        f"{runs.program}, which the last patch adds to, on {before.release} ({runs.source})\n"
        f"under QEMU on {runs.date}, without this series:\n\n{_quoted(before)}\n"
        f"With it and our other cures, which change other places:\n\n{_quoted(after)}"
    )


def _quoted(run: Run) -> str:
    lines = [*run.output.strip().splitlines()]
    if run.splats:
        lines += ["", "and the kernel:", "", *run.splats]
    return "".join(f"  {line}".rstrip() + "\n" for line in lines)


def _stat(patches: str) -> str:
    done = subprocess.run(
        ["git", "apply", "--stat", "--summary", "-"],
        cwd="/",  # in a repository, git-apply looks only at files below this directory
        input=patches,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return "---\n" + done.stdout
