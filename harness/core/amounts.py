# SPDX-License-Identifier: MIT
"""Times and sizes as a person writes them: 8h, 1h30m, 40 GiB."""

from __future__ import annotations

import re

_UNITS = {"h": 3600, "m": 60, "s": 1}
_SIZES = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def duration(text: str) -> float:
    """Return the seconds of ``8h``, ``60m``, ``1h30m``. Raise ValueError."""
    parts = re.findall(r"([0-9]{1,6})([hms])", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(f"{text!r} is no time such as 90s, 60m or 1h30m")
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def size(text: str) -> int:
    """Return the bytes of ``40 GiB``. Raise ValueError."""
    found = re.fullmatch(r"([0-9]{1,9}) ?(MiB|GiB|TiB)", text)
    if not found:
        raise ValueError(f"{text!r} is no size such as 500 MiB or 40 GiB")
    return int(found[1]) * _SIZES[found[2]]


def in_gib(count: int) -> str:
    """Return bytes as ``41.3 GiB``."""
    return f"{count / _SIZES['GiB']:.1f} GiB"
