# SPDX-License-Identifier: MIT
"""The report as one JSON file, and the item files by which workers hand in theirs.

Under pytest-xdist each worker appends its items to a file of its own, one JSON
object a line, so that a worker that dies has lost nothing that it had finished.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError
from harness.report.model import Item, Run, item_from_json, run_from_json, to_json

if TYPE_CHECKING:
    from pathlib import Path

_PATTERN = "items-*.jsonl"


def write(run: Run, path: Path) -> None:
    """Writes the file; a reader sees the old one or the new one, never half of one."""
    half = path.with_name(path.name + ".new")
    half.write_text(json.dumps(to_json(run), indent=1, ensure_ascii=False) + "\n", "utf-8")
    half.replace(path)


def read(path: Path) -> Run:
    """Reads a file of write(). ArtifactError where it is none."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: {error}", "make the report again") from error
    if not isinstance(data, dict):
        raise ArtifactError(f"{path}: not a report", "make the report again")
    return run_from_json(data)


def append_item(directory: Path, worker: str, item: Item) -> None:
    """Hands in one item; ``worker`` is ``gw0`` …, or ``main`` without xdist."""
    line = json.dumps(to_json(item), ensure_ascii=False) + "\n"
    with (directory / _PATTERN.replace("*", worker)).open("a", encoding="utf-8") as file:
        file.write(line)


def merge_items(directory: Path) -> tuple[Item, ...]:
    """All items that the workers handed in, ordered by id and kernel.

    A last line that was cut short (its worker was killed) is left out: pytest
    itself reports the test that it was about.
    """
    items: list[Item] = []
    for path in sorted(directory.glob(_PATTERN)):
        lines = path.read_text("utf-8").split("\n")
        items.extend(item_from_json(json.loads(line)) for line in lines[:-1])
    return tuple(sorted(items, key=lambda item: (item.id, item.kernel)))
