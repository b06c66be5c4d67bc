# SPDX-License-Identifier: MIT
"""A TOML file that a user wrote: what is wrong in it is told with its line."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.errors import HarnessError


class TomlFile:
    """A parsed file that knows on which line a key stands.

    ``kind`` is the class of its errors, ``cure`` what they advise.
    """

    def __init__(self, path: Path, kind: type[HarnessError], cure: str) -> None:
        self.path = path
        self._kind = kind
        self._cure = cure
        try:
            self._text = path.read_text(encoding="utf-8")
            self.values = tomllib.loads(self._text)
        except UnicodeDecodeError as error:
            raise kind(f"{path} is not in UTF-8: {error}", "convert it: iconv") from error
        except tomllib.TOMLDecodeError as error:
            raise kind(f"{path}: {error}", "correct the TOML") from error

    def error(self, key: str, cause: str, cure: str = "", start: int = 1) -> HarnessError:
        """Return an error that names the line of ``key``, at or after the line ``start``."""
        return self._kind(f"{self.place(key, start)}: {cause}", cure or self._cure)

    def place(self, key: str, start: int = 1) -> str:
        """Return ``path:line`` of ``key``; the line ``start`` if it is not there or later."""
        pattern = rf"\s*\[{{0,2}}\s*[\"']?{re.escape(key)}[\"']?\s*[]=]"
        lines = self._text.splitlines()[start - 1 :]
        number = next((n for n, line in enumerate(lines, start) if re.match(pattern, line)), start)
        return f"{self.path}:{number}"

    def starts(self, array: str) -> list[int]:
        """Return the line of each ``[[array]]``."""
        pattern = rf"\s*\[\[\s*{re.escape(array)}\s*\]\]"
        return [n for n, line in enumerate(self._text.splitlines(), 1) if re.match(pattern, line)]

    def table(self, value: object, known: set[str], where: str, start: int = 1) -> dict[str, Any]:
        """Return ``value`` as a table that has only ``known`` keys."""
        if not isinstance(value, dict):
            raise self.error(where, f"{where} must be a table", start=start)
        for key in value:
            if key not in known:
                place = f" in [{where}]" if where else ""
                raise self.error(
                    key, f"unknown key {key!r}{place}", f"known: {', '.join(sorted(known))}", start
                )
        return value

    def text(self, table: dict[str, Any], key: str, start: int = 1) -> str:
        """Return the string at ``key``, which must be there."""
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"{key} must be a string, and is needed", start=start)
        return value

    def texts(self, table: dict[str, Any], key: str, start: int = 1) -> tuple[str, ...]:
        """Return the list of strings at ``key``; none if it is not there."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"{key} must be a list of strings", start=start)
        return tuple(value)
