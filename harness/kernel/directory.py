# SPDX-License-Identifier: MIT
"""What a directory is that somebody names as a kernel, by what is in it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from harness.core.errors import UsageError
from harness.kernel.deb_files import holds_debs
from harness.kernel.installed import installed_images
from harness.kernel.output_directory import source_of_output

if TYPE_CHECKING:
    from pathlib import Path


class Content(Enum):
    """What a directory holds of a kernel."""

    SOURCE = "a kernel source"
    OUTPUT = "the output of a build (make O=)"
    INSTALLED = "an installed kernel"
    PACKAGES = "packages of a kernel (linux-*.deb)"


def content_of(directory: Path) -> Content:
    """Return what ``directory`` is. Raise UsageError if it is more than one of these.

    A directory with nothing of a kernel counts as a source directory; the build says what it lacks.
    """
    images = installed_images(directory)
    readings = {}
    if (directory / "Kconfig").is_file():
        readings[Content.SOURCE] = Content.SOURCE.value
    if source_of_output(directory) is not None:
        readings[Content.OUTPUT] = Content.OUTPUT.value
    if images:
        readings[Content.INSTALLED] = f"{Content.INSTALLED.value} ({next(iter(images.values()))})"
    if holds_debs(directory):
        readings[Content.PACKAGES] = Content.PACKAGES.value
    if len(readings) > 1:
        raise UsageError(
            f"{directory} has {' and '.join(readings.values())}",
            "give the file that is meant, or move the other",
        )
    return next(iter(readings), Content.SOURCE)
