# SPDX-License-Identifier: MIT
"""Frozen dataclasses from JSON, by cattrs."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from cattrs import Converter

if TYPE_CHECKING:
    from collections.abc import Callable


def strict_converter() -> Converter:
    """Return a converter that refuses what it would have to guess: cattrs takes "5" for an int.

    A field that the dataclass does not have is an error, too.
    """
    converter = Converter(forbid_extra_keys=True)
    for types in ((str,), (int,), (float, int), (bool,)):
        converter.register_structure_hook(types[0], _only(*types))
    # A hook of a class also serves its subclasses: an enum that is a str would stay plain text.
    converter.register_structure_hook(enum.StrEnum, lambda value, kind: kind(value))
    return converter


def _only(*types: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) not in types:  # isinstance() takes True for an int
            raise TypeError(f"{value!r} is no {types[0].__name__}")
        return types[0](value)

    return structure
