# SPDX-License-Identifier: MIT
"""The kernel's own MTE selftests, also of a kernel that Debian built: from the source package."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.core.errors import SourceError
from harness.core.keys import key_of
from harness.core.store import Store
from harness.core.toolchain import find_toolchain
from harness.kernel.base import find_origin, pristine
from harness.kernel.build import OBJECTS, Job, build_selftests
from harness.kernel.config import Request
from harness.kernel.workspace import link_tree

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.progress import Progress
    from harness.kernel.artifact import Kernel


def obtain_selftests(kernel: Kernel, cache: Path, progress: Progress) -> Path:
    """Return the directory with the MTE selftests of ``kernel``, built from its source.

    The source of a kernel that was not compiled here is fetched and unpacked first. Raise
    SourceError if it cannot be had (BaseGoneError: every place answers that it is gone),
    NetworkError, BuildError, CompilerMissingError or DiskFullError.
    """
    if kernel.selftests is not None:
        return kernel.selftests
    if kernel.source is None:
        raise SourceError(f"the source of {kernel.name} is not there")
    origin = find_origin(kernel.source, cache, progress)
    toolchain = find_toolchain()
    key = key_of({"selftests": origin.identity, "toolchain": toolchain.identity})

    def make(into: Path) -> None:
        # Not in the place of kernel builds, which another run may hold for many minutes: this is
        # done in seconds.
        tree = into / "src"
        link_tree(pristine(origin, cache, progress), tree)
        job = Job(tree, tree / OBJECTS, Request({}), toolchain, key, cache)
        build_selftests(job, into, progress)
        shutil.rmtree(tree)

    return Store(cache, "selftests", progress).obtain(key, make)
