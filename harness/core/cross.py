# SPDX-License-Identifier: MIT
"""Guest programs, cross-compiled once for each state of source, headers, flags and compiler."""

from __future__ import annotations

import functools
import shutil
import subprocess
from typing import TYPE_CHECKING

from harness.core.errors import BuildError, CompilerMissingError
from harness.core.keys import file_digest, key_of
from harness.core.paths import repository_root

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.core.store import Store

COMPILER = "aarch64-linux-gnu-gcc"
HOST_COMPILER = "gcc"
CURE = (
    "Debian: apt-get install gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross, or run "
    "scripts/validate"
)
INCLUDE = repository_root() / "guest" / "include"
# Static: the probe runs in any arm64 guest, whatever its C library. -O1 keeps a
# probe's loads and stores where its author wrote them and still compiles fast.
PROBE_FLAGS = (
    "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-march=armv8.5-a+memtag",
    "-static", "-pthread", "-s", f"-I{INCLUDE}",
)  # fmt: skip
AGENT_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s")
BARE_FLAGS = (
    "-O1", "-Wall", "-Wextra", "-Werror", "-march=armv8.5-a+memtag", "-mgeneral-regs-only",
    "-ffreestanding", "-nostdlib", "-fno-builtin", "-fno-pie", "-no-pie", "-static",
    "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments",
)  # fmt: skip


@functools.cache
def compiler_version(compiler: str) -> str:
    """Return the first line of ``compiler --version``. Raise CompilerMissingError."""
    if shutil.which(compiler) is None:
        raise CompilerMissingError(f"no {compiler} on this host", CURE)
    result = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[0]


def compile_program(
    store: Store, sources: Sequence[Path], flags: Sequence[str], compiler: str = COMPILER
) -> Path:
    """Return the program built from ``sources``. Raise BuildError with the first compiler error.

    A change of any header beside the sources or in ``guest/include`` compiles it again.
    """
    headers = {h for d in (INCLUDE, *(s.parent for s in sources)) for h in d.glob("*.h")}
    files = [(path.name, file_digest(path)) for path in (*sources, *sorted(headers))]
    key = key_of({"compiler": compiler_version(compiler), "flags": list(flags), "files": files})
    name = sources[0].stem

    def make(directory: Path) -> None:
        result = subprocess.run(
            [compiler, *flags, "-o", str(directory / name), *map(str, sources)],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            lines = result.stderr.splitlines()
            first = next((x for x in lines if "error" in x), lines[0] if lines else "no output")
            raise BuildError(f"{sources[0]} does not compile: {first}", details=result.stderr)

    return store.obtain(key, make) / name
