# SPDX-License-Identifier: MIT
"""The table of places that kernels come from: kernel-configs/sources.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from harness.core.paths import resources

SOURCES = "kernel-configs/sources.toml"


@dataclass(frozen=True)
class Tarball:
    """Linux's own source of one release as a file; ``url`` is https."""

    url: str


@dataclass(frozen=True)
class Tag:
    """Linux's own source of one release as a tag of the repository ``url``."""

    url: str
    tag: str


@dataclass(frozen=True)
class Places:
    """Where a base may be, each list in the order of trial.

    ``suites`` of Debian have the package; ``pristine`` places have the source without Debian's
    patches. ``made_for`` is the point release ("7.3.4") that the patches of kernel-configs/ were
    made for, "" if none were.
    """

    suites: tuple[str, ...]
    pristine: tuple[Tarball | Tag, ...]
    made_for: str


def source_places(package: str, version: str) -> Places:
    """Return the places of ``package`` ("linux-source-7.3").

    ``version`` is a point release ("7.3.4"), or "" for the newest of the series, which is Debian's:
    then there are no pristine places.
    """
    table = _table()
    entry = table["package"].get(package, {})
    pristine = tuple(
        Tarball(place["tarball"].format(version=version))
        if "tarball" in place
        else Tag(place["git"], place["tag"].format(version=version))
        for place in (table["pristine"] if version else [])
    )
    return Places(tuple(entry.get("suites", ())), pristine, entry.get("made_for", ""))


def binary_suites() -> tuple[str, ...]:
    """Return the suites with kernels that Debian built, in the order of trial."""
    return tuple(_table()["binaries"])


def _table() -> dict[str, Any]:
    return tomllib.loads((resources() / SOURCES).read_text(encoding="utf-8"))
