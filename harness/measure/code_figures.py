# SPDX-License-Identifier: MIT
"""Measures the source code of this checkout: lines, import cycles, repeated lines."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from harness.measure import measuring

if TYPE_CHECKING:
    from pathlib import Path

    from harness.measure.records import Record


def import_cycles(package: Path) -> set[frozenset[str]]:
    """Return the groups of rooms of a Python package that import each other.

    A room is a package or a module at the top of ``package``. Each group is a strongly connected
    component of more than one room. Imports inside functions and under TYPE_CHECKING count.
    """
    imports: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        seen = imports.setdefault(parts[0], set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = [package.name, *parts][: -node.level] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                names = [f"{base}.{alias.name}" for alias in node.names]
            else:
                continue
            seen.update(n.split(".")[1] for n in names if n.startswith(f"{package.name}."))
    for between, beyond in imports.items():  # Warshall: then each room has all that it reaches
        for reached in imports.values():
            reached.update(beyond if between in reached else ())
    groups = {
        frozenset(other for other in reached if room in imports.get(other, ()))
        for room, reached in imports.items()
    }
    return {group for group in groups if len(group) > 1}


def duplicate_pairs(root: Path) -> int | None:
    """Return how many pairs of places share six or more lines; None where that is not known.

    The first line of ``duplicates`` counts them; "incomplete:" is its word for a tree that it
    did not read to the end.
    """
    command = shutil.which("duplicates")
    if command is None:
        return None
    words = [command, "--repo", str(root), "--seconds", "120"]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    pairs = re.match(r"(\d+) pairs? of places|no duplicates", done.stdout)
    if pairs is None or "incomplete:" in done.stdout:
        return None
    return int(pairs[1] or 0)


def code_record(
    root: Path, *, unit_seconds: float, files_passed: int, command: str, notes: tuple[str, ...] = ()
) -> Record:
    """Measure the source code in the checkout ``root``.

    ``unit_seconds``: wall time of the unit tests; ``files_passed``: the files that a probe's
    result passes through, counted by a reader.
    """
    start = measuring.begin(root)
    readme = (root / "README.md").read_text("utf-8")
    cycles = import_cycles(root / "harness")
    figures = {
        "lines of harness, Python": (_lines(root, "harness/*.py"), "lines"),
        "lines of guest, C and Python": (_lines(root, "guest/*.[chS]", "guest/*.py"), "lines"),
        "lines of tests, Python": (_lines(root, "tests/*.py"), "lines"),
        "import cycles between rooms": (len(cycles), ""),
        "rooms in import cycles": (sum(map(len, cycles)), ""),
        "files that a probe's result passes through": (files_passed, ""),
        "lines of README.md": (len(readme.splitlines()), "lines"),
        "words of README.md": (len(readme.split()), "words"),
        "unit tests": (unit_seconds, "s"),
    }
    pairs = duplicate_pairs(root)
    if pairs is not None:
        figures["pairs of places that share six or more lines"] = (pairs, "")
    values = {name: measuring.value_of([value], unit) for name, (value, unit) in figures.items()}
    return measuring.new_record(
        "figures-of-code", "", start=start, root=root, command=command, values=values, notes=notes
    )


def _lines(root: Path, *patterns: str) -> int:
    """Return the lines of the tracked files that match; git's ``*`` also matches ``/``."""
    names = measuring.git(root, "ls-files", "-z", "--", *patterns).split("\0")[:-1]
    return sum(len((root / name).read_text("utf-8").splitlines()) for name in names)
