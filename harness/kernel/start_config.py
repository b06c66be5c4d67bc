# SPDX-License-Identifier: MIT
"""A user's .config as the start of a build: read, completed for a guest, and what that changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.core.errors import ConfigError
from harness.kernel.config import normal, parse_config, render_config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.kernel.config import Request

# The first lines of a .config (scripts/kconfig/confdata.c, conf_write_heading()):
# "# Linux/arm64 7.3.4 Kernel Configuration".
_HEADING = re.compile(r"^# Linux/(\S+) \S+ Kernel Configuration$", re.MULTILINE)
_NAMED = 8  # symbols that a line of the report names
# Symbols without a prompt that say what a compiler, an assembler or an architecture can do.
_CAPABILITY = re.compile(
    r"(?:AS|CC|LD|GCC|CLANG|RUSTC|TOOLS|PAHOLE|ARCH)_|.*(?:HAVE|HAS|SUPPORTS)_"
)


def read_start(path: Path) -> str:
    """Return the text of a .config or defconfig. Raise ConfigError if the file is no such thing."""
    try:
        text = path.read_text(encoding="utf-8")
        parse_config(text)
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no .config: it is not text", "unpack it: zcat") from None
    except ValueError as error:
        raise ConfigError(f"{path} is no .config: {error}", "name another file") from error
    heading = _HEADING.search(text)
    if heading and heading[1] != "arm64":
        raise ConfigError(f"{path} is a configuration for {heading[1]}", "make one with ARCH=arm64")
    return text


def complete(base: Mapping[str, str], request: Request) -> str:
    """Return ``base``, a whole .config, with what ``request`` builds in and asks for."""
    whole = {**base, **_built_in(base, request)}
    below = {name: value for name, value in whole.items() if name not in request.asked}
    return render_config(below) + request.text


def _built_in(base: Mapping[str, str], request: Request) -> dict[str, str]:
    """Return the features that ``base`` has as modules, which shall be ``y``."""
    return {name: "y" for name in request.features if base.get(name) == "m"}


def describe_changes(
    start: Mapping[str, str], base: Mapping[str, str], final: Mapping[str, str], request: Request
) -> list[str]:
    """Return what is not as the user's .config has it, as clauses of a sentence.

    ``base`` is what this tree and compiler make of ``start``.
    """
    gone = sorted(
        name
        for name, value in start.items()
        if value == "y"
        and base.get(name, "n") == final.get(name, "n") == "n"
        and not _CAPABILITY.match(name)
    )
    different = {
        name
        for name in base.keys() | final.keys()
        if normal(base.get(name, "n")) != normal(final.get(name, "n"))
        and name not in request.by_hand
    }
    named = different & (request.asked.keys() | _built_in(base, request).keys())
    changed = [f"{name}={final.get(name, 'n')}" for name in sorted(named)]
    clauses = []
    if changed:
        more = len(different) - len(named)
        follow = f", and {more} that depend on them" if more else ""
        clauses.append(f"changed for the guest: {', '.join(changed)}{follow}")
    if gone:
        rest = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
        clauses.append(f"not available here: {', '.join(gone[:_NAMED])}{rest}")
    return clauses
