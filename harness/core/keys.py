# SPDX-License-Identifier: MIT
"""Names of cache entries: 16 hex digits of the SHA-256 of what an entry is made from.

What is hashed: the parts of an entry as JSON; where there is one part, that text or content.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DIGITS = 16


def key_of(parts: Mapping[str, Any]) -> str:
    """Return the key of an entry that is made from ``parts``, which JSON can express."""
    return content_key(json.dumps(parts, sort_keys=True))


def content_key(content: str | bytes) -> str:
    """Return the key of an entry that is made from one text (a path, a URL) or content."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
