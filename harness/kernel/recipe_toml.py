# SPDX-License-Identifier: MIT
"""The TOML of a recipe: an error names file and line, and an unknown key is one."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from harness.core.errors import RecipeError

if TYPE_CHECKING:
    from pathlib import Path


class RecipeToml:
    """A parsed file that knows on which line a key stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._text = path.read_text(encoding="utf-8")
            self.values = tomllib.loads(self._text)
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path} is not in UTF-8: {error}", "convert it: iconv") from error
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{path}: {error}", "correct the TOML") from error

    def error(self, key: str, cause: str, cure: str = "correct the recipe") -> RecipeError:
        """Return an error that names the line of ``key``."""
        return RecipeError(f"{self.place(key)}: {cause}", cure)

    def place(self, key: str) -> str:
        """Return ``path:line`` of ``key``; line 1 if the file does not have it."""
        pattern = rf"\s*\[?\s*[\"']?{re.escape(key)}[\"']?\s*[]=]"
        lines = self._text.splitlines()
        number = next((n for n, line in enumerate(lines, 1) if re.match(pattern, line)), 1)
        return f"{self.path}:{number}"

    def table(self, value: object, known: set[str], where: str) -> dict[str, Any]:
        """Return ``value`` as a table that has only ``known`` keys."""
        if not isinstance(value, dict):
            raise self.error(where, f"{where} must be a table")
        for key in value:
            if key not in known:
                place = f" in [{where}]" if where else ""
                raise self.error(
                    key, f"unknown key {key!r}{place}", f"known: {', '.join(sorted(known))}"
                )
        return value

    def text(self, table: dict[str, Any], key: str) -> str:
        """Return the string at ``key``, which must be there."""
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"{key} must be a string, and is needed")
        return value

    def texts(self, table: dict[str, Any], key: str) -> tuple[str, ...]:
        """Return the list of strings at ``key``; none if it is not there."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"{key} must be a list of strings")
        return tuple(value)
