# SPDX-License-Identifier: MIT
"""Packages that an earlier run has downloaded, for a run without a network or after the mirror's.

A mirror removes a package after its successor has come; what is in the cache stays.
"""

from __future__ import annotations

import functools
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote

from harness.core.errors import NotThereError
from harness.core.keys import file_digest
from harness.host.debian import Deb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def downloaded(
    choose: Callable[[frozenset[str]], tuple[str, ...]], downloads: Path, version: str = ""
) -> tuple[Deb, ...]:
    """Return the packages whose names ``choose`` picks from those in ``downloads``.

    They are of the newest version in which all of them are there; with ``version``, a kernel's
    ("7.3.4"), of the newest revision of that. Raise NotThereError.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in downloads.glob("*.deb"):
        name, has, _ = unquote(path.name).split("_")
        if not version or has.startswith(f"{version}-"):
            found.setdefault(name, {})[has] = path
    names = choose(frozenset(found))
    common = set.intersection(*(set(found.get(name, ())) for name in names)) if names else set()
    if not common:
        raise NotThereError("it was not downloaded before")
    newest = max(common, key=functools.cmp_to_key(_compare))
    return tuple(_deb(name, newest, found[name][newest]) for name in names)


def _deb(name: str, version: str, path: Path) -> Deb:
    # apt compared the hash with the mirror's before the file got this name.
    return Deb(name, version, path.as_uri(), file_digest(path), path.stat().st_size, path)


def _compare(one: str, other: str) -> int:
    """Return 1 if ``one`` is the newer of two versions of Debian, else -1 (deb-version(7))."""
    newer = subprocess.run(["dpkg", "--compare-versions", one, "gt", other], check=False)
    return 1 if newer.returncode == 0 else -1
