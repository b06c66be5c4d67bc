# SPDX-License-Identifier: MIT
"""Patches as they come from a mailing list: with replies, old versions, in any order."""

from __future__ import annotations

import codecs
import email.header
import email.parser
import gzip
import re
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import RecipeError
from harness.core.toolchain import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TAG = re.compile(r"\[(?P<words>[^\]]*)\]")
_PATCH = re.compile(r"\bPATCH\b", re.IGNORECASE)
_VERSION = re.compile(r"\bv(\d+)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\b(\d+)/(\d+)\b")
_REPLY = re.compile(r"(?:re|aw|fwd?)(?:\[\d+\])?:", re.IGNORECASE)
_DIFF = re.compile(rb"^(?:diff --git |@@ -)", re.MULTILINE)
# The first line of a diff as git-diff(1) and diff(1) write it.
_HEADER = re.compile(rb"^(?:diff |--- )[^\n]*$", re.MULTILINE)
_GZIP = b"\x1f\x8b"
_FROM = b"From "  # the line before each mail of an mbox


@dataclass(frozen=True)
class Mail:
    """One mail. ``number`` of ``total``, both 0 where its subject has no n/m.

    ``tagged``: its subject has ``[PATCH …]``. ``title`` is the subject without such a tag.
    ``text`` has the diff, and is empty where there is none. ``bare``: a diff without a mail.
    """

    subject: str
    title: str
    text: bytes
    tagged: bool
    reply: bool
    version: int = 1
    number: int = 0
    total: int = 0
    bare: bool = False

    @property
    def cover(self) -> bool:
        """Whether it is the cover letter of a series, ``[PATCH 0/m]``."""
        return self.total > 0 and self.number == 0


@dataclass(frozen=True)
class Mbox:
    """``mails`` are the patches of one series in their order, ``left_out`` other subjects."""

    mails: tuple[Mail, ...]
    left_out: tuple[str, ...]


def is_mbox(path: Path) -> bool:
    """Return whether a file is an mbox, packed by gzip(1) or not. Raise RecipeError."""
    return unpacked(path).startswith(_FROM)


def has_patches(data: bytes) -> bool:
    """Return whether the content of a file is an mbox, a single mail, or a diff."""
    return data.startswith(_FROM) or bool(_subject(data) or _DIFF.search(data))


def read_mbox(path: Path, files: Sequence[Path] = ()) -> Mbox:
    """Return the newest version of the series in an mbox. Raise RecipeError.

    ``files`` are read together in place of ``path``, which errors name all the same: mboxes,
    single mails, and diffs without a mail.

    Replies are left out, also those with a diff, and so are older versions: ``[PATCH n/m]`` of
    one version counts. If no subject has such a tag, all are taken, in their order. A cover
    letter, ``[PATCH 0/m]``, may have a diff between two versions, which is no patch.
    """
    mails = [mail for file in files or (path,) for mail in _mails(file)]
    bodies = [mail for mail in mails if mail.text and not mail.reply and not mail.cover]
    patches = [mail for mail in bodies if mail.tagged or mail.bare] or bodies
    if not patches:
        raise RecipeError(f"{path}: no patch in it", "name a file of `git format-patch` mails")
    newest = max(mail.version for mail in patches)
    chosen = [mail for mail in patches if mail.bare or mail.version == newest]
    chosen.sort(key=lambda mail: mail.number)
    _check_whole(path, chosen)
    # A patch whose diff cannot be read (an attachment of another type) is told, too.
    others = [mail for mail in mails if mail not in chosen and not mail.cover]
    return Mbox(
        tuple(chosen),
        tuple(mail.subject for mail in others if mail.text or (mail.tagged and not mail.reply)),
    )


def _check_whole(path: Path, mails: list[Mail]) -> None:
    """Raise RecipeError unless numbered patches are 1 to m of one series."""
    numbered = [mail for mail in mails if mail.total]
    if not numbered:
        return
    totals = {mail.total for mail in numbered}
    if len(totals) > 1 or len(numbered) < len(mails):
        names = ", ".join(repr(mail.subject) for mail in mails[:4])
        raise RecipeError(f"{path}: more than one series: {names}", "keep one of them in the file")
    found = [mail.number for mail in numbered]
    (total,) = totals
    if missing := sorted({*range(1, total + 1)} - {*found}):
        raise RecipeError(
            f"{path}: patch {missing[0]}/{total} is missing", "download the whole thread"
        )
    if double := next((mail for mail in numbered if found.count(mail.number) > 1), None):
        raise RecipeError(
            f"{path}: there are two patches {double.number}/{total}", "remove one of them"
        )


def _mails(path: Path) -> list[Mail]:
    """Return the mails of a file in their order; a diff without a mail is one, too."""
    data = unpacked(path)
    if not data.startswith(_FROM) and not _subject(data):
        return [_bare(path, data)]
    with tempfile.TemporaryDirectory(prefix="mte-harness-mbox-") as name:
        scratch = Path(name)
        box = scratch / "box"
        box.write_bytes(data)
        mails = scratch / "mails"
        mails.mkdir()
        _git(["mailsplit", "-b", f"-o{mails}", str(box)], path)
        return [_mail(mail, path) for mail in sorted(mails.iterdir())]


def _bare(path: Path, data: bytes) -> Mail:
    """Return the diff of a file; where its own lines end in CR LF, the transport made them so."""
    header = _HEADER.search(data)
    if header and header[0].endswith(b"\r"):
        data = data.replace(b"\r\n", b"\n")
    text = data if _DIFF.search(data) else b""
    return Mail(path.name, path.name, text, tagged=False, reply=False, bare=True)


def _mail(file: Path, path: Path) -> Mail:
    message, diff = file.with_suffix(".message"), file.with_suffix(".diff")
    raw = file.read_bytes()
    # A mail in base64 or quoted-printable has kept the CR LF of the mail system.
    _git(["mailinfo", "--quoted-cr=strip", str(message), str(diff)], path, raw)
    subject = _subject(raw) or file.name
    tags = [match["words"] for match in _TAG.finditer(subject) if _PATCH.search(match["words"])]
    words = tags[0] if tags else ""
    version, number = _VERSION.search(words), _NUMBER.search(words)
    text = diff.read_bytes()
    return Mail(
        subject=subject,
        title=_TAG.sub("", subject).strip(),
        text=text if _DIFF.search(text) else b"",
        tagged=bool(tags),
        reply=bool(_REPLY.match(subject)),
        version=int(version[1]) if version else 1,
        number=int(number[1]) if number else 0,
        total=int(number[2]) if number else 0,
    )


def _subject(mail: bytes) -> str:
    value = email.parser.BytesHeaderParser().parsebytes(mail)["Subject"] or ""
    try:
        text = str(email.header.make_header(email.header.decode_header(str(value))))
    except (LookupError, UnicodeError, ValueError):
        text = str(value)
    return " ".join(text.split())


def unpacked(path: Path) -> bytes:
    """Return the content of a file, packed by gzip(1) or not. Raise RecipeError if damaged."""
    data = path.read_bytes()
    if not data.startswith(_GZIP):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise RecipeError(f"{path}: damaged gzip file: {error}", "download it again") from error


def _git(argv: Iterable[str], path: Path, stdin: bytes = b"") -> None:
    done = subprocess.run(
        ["git", *argv],
        input=stdin,
        env=clean_environment(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RecipeError(
            f"{path}: not an mbox", "check the file", done.stderr.decode(errors="replace")
        )
