# SPDX-License-Identifier: MIT
"""Text from a guest, fit to be shown: what would act on a terminal or hide text is spelled out."""

from __future__ import annotations

import re

# C0 without tab, newline, and carriage return before a newline; DEL and C1 (ECMA-48); line and
# paragraph separators; the characters that turn text around (Unicode Standard Annex 9).
_ACTS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
    r"|\r(?!\n)"
)


def printable(text: str) -> str:
    r"""Return ``text`` with such characters as ``\x1b`` or ``\u202e``; again, it stays."""
    return _ACTS.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
