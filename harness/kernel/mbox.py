# SPDX-License-Identifier: MIT
"""Patches from an mbox as it comes from a mailing list: with replies, old versions, any order."""

from __future__ import annotations

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
    from collections.abc import Iterable

_TAG = re.compile(r"\[(?P<words>[^\]]*)\]")
_PATCH = re.compile(r"\bPATCH\b", re.IGNORECASE)
_VERSION = re.compile(r"\bv(\d+)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\b(\d+)/(\d+)\b")
_REPLY = re.compile(r"(?:re|aw|fwd?)(?:\[\d+\])?:", re.IGNORECASE)
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Mail:
    """One mail with a diff. ``number`` of ``total``, both 0 where its subject has no n/m.

    ``tagged``: its subject has ``[PATCH …]``. ``title`` is the subject without such a tag.
    """

    subject: str
    title: str
    text: bytes
    tagged: bool
    reply: bool
    version: int
    number: int
    total: int


@dataclass(frozen=True)
class Mbox:
    """``mails`` are the patches of one series in their order, ``left_out`` other subjects."""

    mails: tuple[Mail, ...]
    left_out: tuple[str, ...]


def is_mbox(path: Path) -> bool:
    """Return whether a file is an mbox, packed by gzip(1) or not. Else it is a series file."""
    with path.open("rb") as stream:
        head = stream.read(5)
    return head == b"From " or (head.startswith(_GZIP) and _unpacked(path).startswith(b"From "))


def read_mbox(path: Path) -> Mbox:
    """Return the newest version of the series in an mbox. Raise RecipeError.

    Replies are left out, also those with a diff, and so are older versions: ``[PATCH n/m]`` of
    one version counts. A file in which no subject has such a tag is taken whole, in its order.
    """
    mails = _mails(path)
    patches = [mail for mail in mails if mail.tagged and not mail.reply]
    if not patches:
        patches = [mail for mail in mails if not mail.reply]
    if not patches:
        raise RecipeError(
            f"{path}: no patch in this mbox", "name a file of `git format-patch` mails"
        )
    newest = max(mail.version for mail in patches)
    chosen = [mail for mail in patches if mail.version == newest]
    chosen.sort(key=lambda mail: mail.number)
    _check_whole(path, chosen)
    left_out = tuple(mail.subject for mail in mails if mail not in chosen)
    return Mbox(tuple(chosen), left_out)


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
    """Return the mails that have a diff, in the order of the file."""
    with tempfile.TemporaryDirectory(prefix="mte-harness-mbox-") as name:
        scratch = Path(name)
        box = scratch / "box"
        box.write_bytes(_unpacked(path))
        mails = scratch / "mails"
        mails.mkdir()
        _git(["mailsplit", f"-o{mails}", str(box)], path)
        found = (_mail(mail, path) for mail in sorted(mails.iterdir()))
        return [mail for mail in found if b"\n@@ " in mail.text or b"diff --git " in mail.text]


def _mail(file: Path, path: Path) -> Mail:
    message, diff = file.with_suffix(".message"), file.with_suffix(".diff")
    raw = file.read_bytes()
    _git(["mailinfo", str(message), str(diff)], path, raw)
    subject = _subject(raw) or file.name
    tags = [match["words"] for match in _TAG.finditer(subject) if _PATCH.search(match["words"])]
    words = tags[0] if tags else ""
    version, number = _VERSION.search(words), _NUMBER.search(words)
    return Mail(
        subject=subject,
        title=_TAG.sub("", subject).strip(),
        text=diff.read_bytes(),
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


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if not data.startswith(_GZIP):
        return data
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
