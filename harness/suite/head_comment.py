# SPDX-License-Identifier: MIT
"""Probe sources: the head comment that describes a probe, and finding probes.

The head comment follows the SPDX line (and a ``#!`` line, in Python)::

    /*
     * probe: swap_roundtrip
     * needs: CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR
     * timeout: 60
     * smoke: yes
     *
     * Tags and data survive a round trip through a swap disk ...
     */

``since: 6.13 25c17c4b55de`` and ``until: 6.13 25c17c4b55de`` are for a rule that a commit
changed: before that release, or from it on, the probe is skipped. ``fixed: 6.6 332c151c710a
prot_none prot_read`` is for a bug that had lived: before that release these cases may fail, and
that is told as the known bug which the commit fixed; several are separated by ``;``, and
``6.18/6.12.57`` are the first releases of the stable branches, too, that are known to have it.
``newer: 6.8 adef440691ba private_memory`` is for cases of what a commit brought, which are left out
before that release; ``cases: CONFIG_SHMEM memfd`` for cases that need more of a kernel than the
others, and are left out where it is not built in. ``pages: 4K 16K`` is for a probe of something
that other kernels' page sizes leave no room for. ``disk: yes``, or the names of cases, is for what
swaps to a disk, and ``destructive`` for what takes pages or CPUs from the running kernel: on a
board it needs the user's leave. All keys but ``probe`` and ``timeout`` may be omitted. In Python
the same lines are ``#`` comments. The area of a probe is the name of its directory:
``guest/probes/swap/swap_roundtrip.c``.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.cross import PAGE_SIZES
from harness.core.errors import UsageError
from harness.kernel.releases import parse_point_release, parse_release

if TYPE_CHECKING:
    from pathlib import Path

    from harness.kernel.releases import Release

LANGUAGES = {".c": "c", ".py": "python"}
SMOKE = "smoke"  # pytest's marker of the probes of the short run
_KEYS = (
    "probe", "needs", "cases", "pages", "since", "until", "newer", "fixed", "disk", "destructive",
    "timeout", "smoke",
)  # fmt: skip
_LISTS = ("cases", "newer", "fixed")  # may be given on several lines
_KEY_LINE = re.compile(r"(?P<key>[a-z]+):\s*(?P<value>.*)$")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_C_CASE = re.compile(r"\bCASE(?:_SECONDS)?\((\w+)")  # guest/include/ktap.h
_PYTHON_CASE = re.compile(r"^@case\([^)]*\)\ndef (\w+)", re.MULTILINE)  # guest/lib/probe.py
_SECONDS = re.compile(r"[1-9]\d{0,3}")
_CHANGE = re.compile(
    r"(?P<release>\d+\.\d+)(?P<stable>(?:/\d+\.\d+\.\d+)*) (?P<commit>[0-9a-f]{12})"
)
_PAGES = {f"{size >> 10}K": size for size in PAGE_SIZES}
_SYMBOL = re.compile(r"CONFIG_[A-Z0-9_]+")
_CURE = "see any file in guest/probes/ for the form of the head comment"


@dataclass(frozen=True)
class Change:
    """A commit that changed a rule, and the first release (7, 3) that has it.

    ``stable`` are the first point releases (6, 12, 57) of older branches that have it, too.
    """

    release: Release
    commit: str
    stable: tuple[tuple[int, int, int], ...] = ()

    def is_in(self, release: str) -> bool:
        """Return whether the kernel of that release has it. Raise ValueError if that is none."""
        major, minor, point = parse_point_release(release)
        return (major, minor) >= self.release or any(
            (major, minor) == first[:2] and point >= first[2] for first in self.stable
        )

    def __str__(self) -> str:
        """Return the words of the head comment."""
        return f"{self.release[0]}.{self.release[1]} ({self.commit})"


@dataclass(frozen=True)
class CaseChange:
    """A commit without which some cases of a probe cannot pass: a fix, or what they are about."""

    change: Change
    cases: tuple[str, ...]


@dataclass(frozen=True)
class CaseNeed:
    """A config symbol that some cases of a probe need, beside what the whole probe does."""

    symbol: str
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Probe:
    """One probe program: what it is called, needs and proves.

    ``needs`` are kernel config symbols (``CONFIG_SWAP``); ``pages`` are the page sizes, in bytes,
    of the kernels that it is for; ``since`` and ``until`` are the changes that began and ended
    what it is about, if any; ``case_needs`` are what some of its cases need beside; ``newer`` are
    the changes that some of its cases are about, and ``fixed`` the fixes of bugs that it shows on
    older kernels; ``timeout`` is in seconds, for the whole program; ``smoke`` probes make up a
    short run, in which each way of a tagged page through the kernel is exercised once; ``prose``
    is the text of the head comment. ``disk`` and ``destructive`` are the cases that write swap to a
    disk, and those that take pages or CPUs from the running kernel.
    """

    name: str
    area: str
    needs: tuple[str, ...]
    pages: tuple[int, ...]
    since: Change | None
    until: Change | None
    case_needs: tuple[CaseNeed, ...]
    newer: tuple[CaseChange, ...]
    fixed: tuple[CaseChange, ...]
    timeout: int
    smoke: bool
    prose: str
    path: Path
    disk: tuple[str, ...] = ()
    destructive: tuple[str, ...] = ()


def discover(directory: Path) -> tuple[Probe, ...]:
    """Return the probes in ``directory`` and in the directories right below it, by name.

    Raises UsageError where a head comment is malformed, where there is no probe,
    or where two probes share a name.
    """
    paths = [
        path
        for pattern in ("*", "*/*")
        for path in directory.glob(pattern)
        if path.suffix in LANGUAGES
    ]
    if not paths:
        raise UsageError(f"no probes in {directory}", "name a directory with .c or .py probes")
    probes = tuple(sorted((read(path) for path in paths), key=lambda probe: probe.name))
    for one, two in itertools.pairwise(probes):
        if one.name == two.name:
            raise UsageError(
                f"{one.path.relative_to(directory)} and {two.path.relative_to(directory)} "
                "are one name",
                "rename one",
            )
    return probes


def read(path: Path) -> Probe:
    """Return the probe of a file. Raise UsageError for a malformed head comment."""
    try:
        lines = _head_comment(path.read_text(encoding="utf-8"), LANGUAGES[path.suffix])
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    except KeyError as error:
        raise UsageError(f"{path}: a probe is a .c or a .py file") from error

    end = lines.index("") if "" in lines else len(lines)
    keys = _keys(path, lines[:end])
    prose = "\n".join(lines[end:]).strip()
    needs = tuple(keys.get("needs", "").split())
    pages = tuple(keys.get("pages", " ".join(_PAGES)).split())
    for wrong, why in (
        (keys["probe"] != path.stem, f"'probe: {keys['probe']}' in a file named {path.name}"),
        (not _NAME.fullmatch(keys["probe"]), f"{keys['probe']!r} is not lower_snake_case"),
        (not _SECONDS.fullmatch(keys["timeout"]), f"timeout {keys['timeout']!r} is no seconds"),
        (keys.get("smoke", "yes") != "yes", f"smoke {keys.get('smoke')!r} is not yes"),
        (not all(map(_SYMBOL.fullmatch, needs)), f"needs {' '.join(needs)}: no config symbols"),
        (not pages, "pages without a size"),
        (
            not all(word in _PAGES for word in pages),
            f"pages {' '.join(pages)}: none of {' '.join(_PAGES)}",
        ),
        (not prose, "no prose that says what must hold"),
    ):
        if wrong:
            raise _malformed(path, why)
    return Probe(
        name=keys["probe"],
        area=path.parent.name,
        needs=needs,
        pages=tuple(_PAGES[word] for word in pages),
        since=_change(path, keys.get("since")),
        until=_change(path, keys.get("until")),
        case_needs=_case_needs(path, keys.get("cases", "")),
        newer=_case_changes(path, keys.get("newer", "")),
        fixed=_case_changes(path, keys.get("fixed", "")),
        timeout=int(keys["timeout"]),
        smoke="smoke" in keys,
        prose=prose,
        path=path,
        disk=_named_cases(path, keys.get("disk", "")),
        destructive=_named_cases(path, keys.get("destructive", "")),
    )


def cases_of(probe: Probe) -> tuple[str, ...]:
    """Return the names of a probe's cases, in the order of its source."""
    return _cases_in(probe.path)


def _cases_in(path: Path) -> tuple[str, ...]:
    pattern = _C_CASE if path.suffix == ".c" else _PYTHON_CASE
    return tuple(pattern.findall(path.read_text(encoding="utf-8")))


def _named_cases(path: Path, text: str) -> tuple[str, ...]:
    """Return the cases of ``yes`` (all), or of their names."""
    every = _cases_in(path)
    if text == "yes":
        return every
    unknown = [name for name in text.split() if name not in every]
    if unknown:
        raise _malformed(path, f"no case {' '.join(unknown)}")
    return tuple(text.split())


def _keys(path: Path, lines: list[str]) -> dict[str, str]:
    """Return the ``key: value`` lines of a head comment."""
    keys: dict[str, str] = {}
    for line in lines:
        match = _KEY_LINE.match(line)
        if not match or match["key"] not in _KEYS:
            raise _malformed(path, f"{line!r} is none of the keys {', '.join(_KEYS)}")
        key, value = match["key"], match["value"].strip()
        if key in keys and key not in _LISTS:
            raise _malformed(path, f"{key!r} is given twice")
        keys[key] = f"{keys[key]}; {value}" if key in keys else value
    for key in ("probe", "timeout"):
        if not keys.get(key):
            raise _malformed(path, f"no {key!r}")
    return keys


def _change(path: Path, text: str | None) -> Change | None:
    if text is None:
        return None
    found = _CHANGE.fullmatch(text)
    if not found:
        raise _malformed(path, f"{text!r} is no release and commit (6.13 25c17c4b55de)")
    stable = filter(None, found["stable"].split("/"))
    return Change(
        parse_release(found["release"]),
        found["commit"],
        tuple(parse_point_release(first) for first in stable),
    )


def _case_changes(path: Path, text: str) -> tuple[CaseChange, ...]:
    """Return the changes of ``RELEASE COMMIT CASE CASE; RELEASE COMMIT CASE``."""
    changes = []
    for part in filter(None, map(str.strip, text.split(";"))):
        release, _, rest = part.partition(" ")
        commit, _, cases = rest.partition(" ")
        change = _change(path, f"{release} {commit}")
        if change is None or not cases.split():
            raise _malformed(path, f"{part!r} names no case of a commit")
        changes.append(CaseChange(change, tuple(cases.split())))
    return tuple(changes)


def _case_needs(path: Path, text: str) -> tuple[CaseNeed, ...]:
    """Return the needs of ``SYMBOL CASE CASE; SYMBOL CASE``."""
    needs = []
    for part in filter(None, map(str.strip, text.split(";"))):
        symbol, _, cases = part.partition(" ")
        if not _SYMBOL.fullmatch(symbol) or not cases.split():
            raise _malformed(path, f"{part!r} names no case that needs a config symbol")
        needs.append(CaseNeed(symbol, tuple(cases.split())))
    return tuple(needs)


def _malformed(path: Path, why: str) -> UsageError:
    return UsageError(f"{path}: head comment: {why}", _CURE)


def _head_comment(text: str, language: str) -> list[str]:
    """Return the lines of the first comment after the SPDX line, without its markers."""
    return _python_comment(text) if language == "python" else _c_comment(text)


def _c_comment(text: str) -> list[str]:
    # The SPDX line is a comment of its own (Documentation/process/license-rules.rst).
    body = re.sub(r"\A\s*(?:/\*[^\n]*?\*/|//[^\n]*)\s*\n", "", text)
    match = re.match(r"\s*/\*(.*?)\*/", body, re.DOTALL)
    if not match:
        return []
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in match[1].strip().split("\n")]
    return _strip_blank(lines)


def _python_comment(text: str) -> list[str]:
    lines = []
    for line in text.split("\n"):
        if not line.startswith("#"):
            break
        if not line.startswith(("#!", "# SPDX-")):
            lines.append(line[1:].strip() if line[1:2] != " " else line[2:].rstrip())
    return _strip_blank(lines)


def _strip_blank(lines: list[str]) -> list[str]:
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines
