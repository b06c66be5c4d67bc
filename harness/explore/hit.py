# SPDX-License-Identifier: MIT
"""A sequence that deviates, as it is kept: sequence.json is what --replay reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError
from harness.core.files import replace_file
from harness.core.paths import resources
from harness.explore.operations import TABLE, Operation, Sequence_
from harness.explore.trial import SWAPS

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 2  # 2: a kind of region more, so that the numbers of `map` are others
CORPUS = resources() / "guest" / "explore" / "corpus"  # sequences of known findings


@dataclass(frozen=True)
class Saved:
    """What sequence.json holds; ``kind`` is the fingerprint of its deviation."""

    sequence: Sequence_
    swap: str
    kind: str
    text: str
    kernel: str


def write(saved: Saved, path: Path) -> None:
    """Write a sequence."""
    data = {
        "schema": SCHEMA,
        "kernel": saved.kernel,
        "kind": saved.kind,
        "text": saved.text,
        "swap": saved.swap,
        "sequence": [operation.to_json() for operation in saved.sequence],
    }
    replace_file(path, (json.dumps(data, indent=1) + "\n").encode())


def read(path: Path) -> Saved:
    """Return a sequence. Raise ArtifactError where the file holds none."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"its schema is {data['schema']!r}, not {SCHEMA}")
        sequence = tuple(_operation(one) for one in data["sequence"])
        if not sequence:
            raise ValueError("it has no operation")
        words = [data[name] for name in ("swap", "kind", "text", "kernel")]
        if not all(isinstance(word, str) for word in words) or words[0] not in SWAPS:
            raise ValueError(f"swap is one of {', '.join(SWAPS)}, and kind, text, kernel are texts")
        return Saved(sequence, *words)
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ArtifactError(
            f"{path} is no sequence: {why}", "name a sequence.json that explore wrote"
        ) from error


def _operation(data: dict[str, str | int]) -> Operation:
    operation = Operation(**data)  # type: ignore[arg-type]
    numbers = (operation.actor, operation.region, operation.span, operation.value)
    if operation.kind not in TABLE:
        raise ValueError(f"there is no operation {operation.kind!r}")
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError(f"{operation.kind} has a number below 0, or none")
    return operation
