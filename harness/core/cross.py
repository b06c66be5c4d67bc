# SPDX-License-Identifier: MIT
"""Guest programs, cross-compiled once for each source, header, flag and compiler.

Programs with probe_flags() or user_flags() are linked with the probe library: all of
``guest/lib/*.c``, itself compiled once for each page size. A probe may have parts: ``NAME/*.c``
beside ``NAME.c``.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from typing import TYPE_CHECKING

from harness.core.disk import disk_full, reports_disk_full
from harness.core.errors import CompilerMissingError, HarnessError, ProgramError
from harness.core.host_trouble import KILLED_CURE, reported_cure
from harness.core.keys import file_digest, key_of
from harness.core.paths import resources
from harness.core.toolchain import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.core.store import Store

# The sizes in bytes of a page that arm64 kernels have (Arm ARM D8.2, "translation granule").
PAGE_SIZES = (4096, 16384, 65536)
COMPILER = "aarch64-linux-gnu-gcc"
HOST_COMPILER = "gcc"
CURE = (
    "Debian: apt-get install gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross, or run "
    "scripts/validate"
)
INCLUDE = resources() / "guest" / "include"
LIBRARY = resources() / "guest" / "lib"
# Static: the probe runs in any arm64 guest, whatever its C library. -O1 keeps a
# probe's loads and stores where its author wrote them and still compiles fast.
# _GNU_SOURCE is empty, so that a program that defines it as well is no error.
_PROBE_FLAGS = (
    "-O1", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE=", "-march=armv8.5-a+memtag", "-static",
    "-pthread", "-s", f"-I{INCLUDE}",
)  # fmt: skip
AGENT_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE=", "-static", "-s")
BARE_FLAGS = (
    "-O1", "-Wall", "-Wextra", "-Werror", "-march=armv8.5-a+memtag", "-mgeneral-regs-only",
    "-ffreestanding", "-nostdlib", "-fno-builtin", "-fno-pie", "-no-pie", "-static",
    "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments",
)  # fmt: skip


def probe_flags(page_size: int) -> tuple[str, ...]:
    """Return the flags of a probe for kernels with pages of ``page_size`` bytes.

    ``PAGE`` of guest/include/mte.h is that size. It is a constant, since arrays, enumerations and
    static data of probes are made from it. A probe says on a kernel with other pages that it is
    the wrong one (guest/lib/ktap.c, probe_main()).
    """
    assert page_size in PAGE_SIZES, page_size
    return (*_PROBE_FLAGS, f"-DPROBE_PAGE={page_size}UL")


def user_flags(page_size: int) -> tuple[str, ...]:
    """Return the flags of a program of the user's, for the same kernels.

    It is compiled as its author would, warnings and all; the library's headers want _GNU_SOURCE,
    which such a program may also define.
    """
    return ("-w", *(flag for flag in probe_flags(page_size) if not flag.startswith("-W")))


@functools.cache
def compiler_version(compiler: str) -> str:
    """Return the first line of ``compiler --version``. Raise CompilerMissingError."""
    if shutil.which(compiler) is None:
        raise CompilerMissingError(f"no {compiler} on this host", CURE)
    result = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, errors="replace", check=True
    )
    return result.stdout.splitlines()[0]


def compile_program(
    store: Store, sources: Sequence[Path], flags: tuple[str, ...], compiler: str = COMPILER
) -> Path:
    """Return the program built from ``sources`` and their parts.

    The cache key covers the sources, every header beside them and in ``guest/include``,
    and the library. Raise ProgramError with the first compiler error.
    """
    sources = [*sources, *(part for source in sources for part in _parts(source))]
    page_size = next((n for n in PAGE_SIZES if flags in (probe_flags(n), user_flags(n))), None)
    library = [_library(store, page_size, compiler)] if page_size else []
    name = sources[0].stem

    def make(directory: Path) -> None:
        files = [word for source in sources for word in _as_source(source)]
        output = str(directory / name)
        _run([compiler, *flags, "-o", output, *files, *map(str, library)], sources[0], directory)

    return store.obtain(_key(compiler, flags, sources, library), make) / name


def _as_source(source: Path) -> tuple[str, ...]:
    """Return gcc's words for a source, which is C if its name does not say what it is."""
    path = str(source.absolute())  # a relative name may look like an option
    return (path,) if source.suffix in {".c", ".S"} else ("-x", "c", path, "-x", "none")


def _parts(source: Path) -> list[Path]:
    """Return the parts of a probe; other programs may have unrelated files in such a place."""
    if not source.is_relative_to(LIBRARY.parent):
        return []
    return sorted(source.with_suffix("").glob("*.c"))


def _library(store: Store, page_size: int, compiler: str) -> Path:
    """Return the archive of ``guest/lib/*.c`` for pages of ``page_size`` bytes."""
    flags = probe_flags(page_size)
    sources = sorted(LIBRARY.glob("*.c"))

    def make(directory: Path) -> None:
        for source in sources:
            output = str(directory / f"{source.stem}.o")
            _run([compiler, *flags, "-c", "-o", output, str(source)], source, directory)
        objects = [str(directory / f"{source.stem}.o") for source in sources]
        archiver = compiler.removesuffix("gcc") + "ar"
        _run([archiver, "rcsD", str(directory / "libprobe.a"), *objects], LIBRARY, directory)

    return store.obtain(_key(compiler, flags, sources), make) / "libprobe.a"


def _key(
    compiler: str, flags: Sequence[str], files: Sequence[Path], libraries: Iterable[Path] = ()
) -> str:
    """Return the cache key: a change of any file, or of a header beside one, compiles again.

    Where the checkout lies is no part of it: another host's program of the same sources is as good.
    A library counts by its own key, since gcc may write the directory of its run into an object.
    """
    flags = [flag.replace(str(resources()), "") for flag in flags]
    headers = {h for d in (INCLUDE, *(file.parent for file in files)) for h in d.glob("*.h")}
    digests = [(path.name, file_digest(path)) for path in (*files, *sorted(headers))]
    return key_of(
        {
            "compiler": compiler_version(compiler),
            "flags": flags,
            "files": digests,
            "libraries": [library.parent.name for library in libraries],
        }
    )


def _run(argv: Sequence[str], source: Path, directory: Path) -> None:
    """Run a tool of the compiler; raise ProgramError for its errors.

    Its temporary files go to ``directory``, the unfinished entry: it goes whatever becomes of gcc,
    which leaves them behind where it is killed. Raise DiskFullError or HarnessError where the host
    is at fault.
    """
    environment = clean_environment() | {"TMPDIR": str(directory)}
    result = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", check=False, env=environment
    )
    if result.returncode == 0:
        return
    said = result.stderr
    lines = said.splitlines()
    first = next((x for x in lines if "error" in x), lines[0] if lines else "no output")
    if reports_disk_full(said):
        raise disk_full(directory.parent, said)
    cure = reported_cure(said)
    if result.returncode < 0 or cure:
        raise HarnessError(
            f"{argv[0]} ended with status {result.returncode}: {first}", cure or KILLED_CURE, said
        )
    raise ProgramError(f"{source} does not compile: {first}", details=said)
