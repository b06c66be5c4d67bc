# SPDX-License-Identifier: MIT
"""The layout of harness/ that no linter checks: sizes, names and maps of rooms, and docstrings.

``lint-imports`` (pyproject.toml) checks the direction of imports.
"""

from __future__ import annotations

import ast
import collections
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HARNESS = Path(__file__).parents[2] / "harness"
ROOMS = sorted(path.parent for path in HARNESS.glob("*/__init__.py"))
UNCOUNTED = {"__init__.py", "py.typed", "__pycache__"}

# First words that ruff's D401 lets pass although they are not verbs.
NO_VERBS = {
    "All", "Any", "Both", "Each", "Every", "Everything", "For", "From", "How", "Itself",
    "Meanwhile", "Nothing", "One", "Seconds", "Sixteen", "Those", "Two", "When", "Where",
    "Whether", "Which", "Who", "Why", "Without",
}  # fmt: skip


def modules(room: Path) -> list[str]:
    return [path.stem for path in sorted(room.glob("*.py")) if path.stem != "__init__"]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_at_most_sixteen_things_lie_at_the_top() -> None:
    top = {path.name for path in HARNESS.iterdir()} - UNCOUNTED
    assert len(top) <= 16, sorted(top)


def test_no_room_holds_more_than_a_fifth_of_the_lines() -> None:
    size = {room.name: sum(map(lines, room.glob("*.py"))) for room in ROOMS}
    total = sum(map(lines, HARNESS.rglob("*.py")))
    large = {
        name: f"{100 * count / total:.1f} %" for name, count in size.items() if count > total / 5
    }
    assert not large


def test_rooms_have_no_rooms() -> None:
    assert not list(HARNESS.glob("*/*/*.py"))


def test_no_two_rooms_share_a_module_name() -> None:
    count = collections.Counter(name for room in ROOMS for name in modules(room))
    assert not [name for name, rooms in count.items() if rooms > 1]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_s_docstring_is_a_map_of_its_modules(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    named = set(re.findall(r"``(\w+)``", text))
    assert not [name for name in modules(room) if name not in named], "modules without a line"
    # A name with parentheses, a slash or a dot is no module: only bare words are checked.
    listed = set(re.findall(r"^\* ``(\w+)``", text, re.MULTILINE))
    assert not listed - set(modules(room)), "lines without a module"


def _functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            # The docstring of a property is a noun phrase, as that of an attribute is.
            decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
            if "property" not in decorators:
                yield node


def not_imperative(docstring: str) -> bool:
    """Whether the first word cannot be the base form of a verb."""
    word = docstring.split(maxsplit=1)[0].rstrip(".,:;")
    third_person = re.fullmatch(r"[A-Z][a-z]+[^s]s", word) is not None
    return word in NO_VERBS or third_person or not re.fullmatch(r"[A-Z][a-z]+", word)


@pytest.mark.parametrize("room", [HARNESS, *ROOMS], ids=lambda room: room.name)
def test_docstrings_of_functions_are_imperative(room: Path) -> None:
    found = []
    for path in sorted(room.glob("*.py")):
        for function in _functions(path):
            text = ast.get_docstring(function)
            if text and not_imperative(text):
                place = f"{path.relative_to(HARNESS)}:{function.lineno}"
                found.append(f"{place}: {text.splitlines()[0]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("Return it.", False), ("Pass it on.", False), ("Press it.", False), ("Reads it.", True),
     ("Whether it is.", True), ("``x`` of it.", True), ("DRAM of it.", True)],
)  # fmt: skip
def test_the_mood_is_seen(text: str, wrong: bool) -> None:
    assert not_imperative(text) is wrong
