# SPDX-License-Identifier: MIT
"""Whether a tree takes a compiler of this age, by its scripts/min-tool-version.sh."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from harness.core.errors import CompilerMissingError
from harness.core.toolchain import LLVM_CURE, clean_environment, parse_version

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.toolchain import Toolchain

SCRIPT = "scripts/min-tool-version.sh"


def require_age(toolchain: Toolchain, tree: Path) -> None:
    """Raise CompilerMissingError, with both versions, for a compiler that ``tree`` refuses.

    kbuild itself says so only in the middle of its output (scripts/cc-version.sh), which would look
    like a kernel that does not build. A tree before 5.12 has no such script.
    """
    if not (tree / SCRIPT).is_file():
        return
    done = subprocess.run(
        ["sh", SCRIPT, toolchain.kind],
        cwd=tree,
        env=clean_environment() | {"ARCH": "arm64", "SRCARCH": "arm64"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    least = done.stdout.strip()
    version = toolchain.version()
    if done.returncode == 0 and parse_version(version) < parse_version(least):
        newer = LLVM_CURE if toolchain.kind == "llvm" else "install a newer one"
        raise CompilerMissingError(
            f"{toolchain.compiler} is of version {version}, and this source needs {least}", newer
        )
