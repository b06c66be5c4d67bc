# SPDX-License-Identifier: MIT
"""What differs between kernel releases: symbols that some of them lack (kernel-configs/)."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from harness.core.errors import SourceError
from harness.core.paths import resources

if TYPE_CHECKING:
    from pathlib import Path

SYMBOLS = "kernel-configs/symbols.toml"
_VERSION = re.compile(r"^(VERSION|PATCHLEVEL) *= *(\d+)\s*$", re.MULTILINE)

Release = tuple[int, int]
"""7.3.4 is (7, 3)."""


def release_of(tree: Path) -> Release:
    """Return the release of a kernel's source, by its Makefile. Raise SourceError."""
    text = (tree / "Makefile").read_text(encoding="utf-8", errors="replace")
    values = dict(_VERSION.findall(text))
    try:
        return int(values["VERSION"]), int(values["PATCHLEVEL"])
    except KeyError as error:
        raise SourceError(
            f"{tree}/Makefile has no {error.args[0]}", "give its top directory"
        ) from None


def symbols_lacking(release: Release) -> frozenset[str]:
    """Return the symbols, without ``CONFIG_``, that ``release`` may lack or refuse."""
    table = tomllib.loads((resources() / SYMBOLS).read_text(encoding="utf-8"))
    return frozenset(
        name
        for name, rule in table.items()
        if release < parse_release(rule.get("since", "0.0"))
        or release >= parse_release(rule.get("until", "9999.0"))
    )


def parse_point_release(text: str) -> tuple[int, int, int]:
    """Return (6, 12, 117) for "6.12.117-1~deb12u1", (7, 3, 0) for "7.3-rc1". Raise ValueError."""
    found = re.match(r"\d+\.\d+\.(\d+)", text)
    return (*parse_release(text), int(found[1]) if found else 0)


def parse_release(text: str) -> Release:
    """Return the release of "7.3", or of "7.3.4-1~bpo13+1". Raise ValueError."""
    found = re.match(r"(\d+)\.(\d+)(?!\d)", text)
    if not found:
        raise ValueError(f"{text!r} is no kernel release")
    return int(found[1]), int(found[2])
