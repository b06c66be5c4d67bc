# SPDX-License-Identifier: MIT
"""The report as one JSON file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.core.errors import ArtifactError
from harness.core.files import replace_file
from harness.report.model import Report, report_from_json, to_json

if TYPE_CHECKING:
    from pathlib import Path


def write(report: Report, path: Path) -> None:
    """Write the file; a reader sees the old one or the new one, never half of one."""
    text = json.dumps(to_json(report), indent=1, ensure_ascii=False) + "\n"
    # A path of the command line may hold bytes that are not UTF-8, which Python has as lone
    # surrogates; as \\udc80 they are JSON.
    replace_file(path, text.encode(errors="backslashreplace"))


def read(path: Path) -> Report:
    """Return the report of a file that write() made. ArtifactError where it is none."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: {error}", "make the report again") from error
    if not isinstance(data, dict):
        raise ArtifactError(f"{path}: not a report", "make the report again")
    try:
        return report_from_json(data)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.cause}", error.cure) from error
