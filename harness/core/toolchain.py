# SPDX-License-Identifier: MIT
"""The programs that build a kernel, and their environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import CompilerMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

CROSS = "aarch64-linux-gnu-"
CCACHE_SIZE = "5G"

# Program -> Debian package, the same on Ubuntu.
PROGRAMS = {
    f"{CROSS}gcc": "gcc-aarch64-linux-gnu",
    f"{CROSS}ld": "binutils-aarch64-linux-gnu",
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "git": "git",
    "ccache": "ccache",
    "rsync": "rsync",
    "xz": "xz-utils",
    "setpriv": "util-linux",
}

# The programs of LLVM that kbuild calls (top Makefile, LLVM_SUFFIX), and the Debian packages that
# have the newest ones of Debian 12, all with this suffix.
LLVM_PROGRAMS = (
    "clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-objdump", "llvm-readelf",
    "llvm-strip",
)  # fmt: skip
LLVM_CURE = "sudo apt-get install clang-19 lld-19 llvm-19"

# Variables of the user that kbuild, make, gcc, tar or xz would obey
# (Documentation/kbuild/kbuild.rst of Linux; the manuals of make, "Variables from the Environment",
# of gcc, "Environment Variables", and of tar; xz(1)).
_FOREIGN = {
    "ARCH", "AS", "CC", "CFLAGS", "COMPILER_PATH", "CPATH", "CPP", "CPPFLAGS", "CROSS_COMPILE",
    "C_INCLUDE_PATH", "DEPENDENCIES_OUTPUT", "GNUMAKEFLAGS", "HOSTCC", "HOSTCFLAGS", "HOSTLDFLAGS",
    "INSTALL_HDR_PATH", "KAFLAGS", "KCFLAGS", "KCPPFLAGS", "LANG", "LANGUAGE", "LD", "LDFLAGS",
    "LIBRARY_PATH", "LLVM", "LOCALVERSION", "MAKEFILES", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES",
    "MFLAGS", "O", "OUTPUT", "SOURCE_DATE_EPOCH", "SUNPRO_DEPENDENCIES", "TAR_OPTIONS", "V", "W",
    "XZ_DEFAULTS", "XZ_OPT",
}  # fmt: skip
# LC_* and LANG are in ccache's hash: an interactive shell and a nightly job are to share objects.
_FOREIGN_PREFIXES = ("KBUILD_", "KCONFIG_", "CCACHE_", "GCC_", "GIT_", "LC_")
# git-config(1), "maintenance.auto": git am, commit and fetch start a git gc of many minutes in the
# background, which a kernel tree always needs, and which would outlive the harness.
NO_BACKGROUND_GIT = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "maintenance.auto",
    "GIT_CONFIG_VALUE_0": "false",
}


@dataclass(frozen=True)
class Toolchain:
    """What compiles and links a kernel.

    ``identity``: the versions of the programs, which are a part of each kernel's key. ``words``:
    make's variables that name them. ``compiler``: the C compiler, of which
    scripts/min-tool-version.sh of a kernel speaks as ``kind`` ("gcc" or "llvm").
    """

    identity: str
    words: tuple[str, ...]
    compiler: str
    kind: str

    def version(self) -> str:
        """Return the compiler's version, such as "12.2.0"."""
        option = "-dumpfullversion" if self.kind == "gcc" else "-dumpversion"
        return _first_line([self.compiler, option])


def find_toolchain(*, llvm: bool = False) -> Toolchain:
    """Return the toolchain of this host. Raise CompilerMissingError, with a cure.

    ``llvm``: clang and lld in place of gcc and binutils. The kernel's own selftests are compiled
    with gcc all the same.
    """
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        packages = " ".join(dict.fromkeys(PROGRAMS[name] for name in missing))
        raise CompilerMissingError(
            f"not installed: {', '.join(missing)}", f"sudo apt-get install {packages}"
        )
    versions = [_first_line([f"{CROSS}{tool}", "--version"]) for tool in ("gcc", "ld")]
    if not llvm:
        compiler = f"{CROSS}gcc"
        words: tuple[str, ...] = (f"CC=ccache {compiler}", "HOSTCC=ccache gcc")
        return Toolchain("; ".join(versions), words, compiler, "gcc")
    suffix = _llvm_suffix()
    compiler = f"clang{suffix}"
    versions += [_first_line([name, "--version"]) for name in (compiler, f"ld.lld{suffix}")]
    # Also for the host: kbuild gives its compiler -fuse-ld=lld (top Makefile, KBUILD_HOSTLDFLAGS).
    words = (f"LLVM={suffix or 1}", f"CC=ccache {compiler}", f"HOSTCC=ccache {compiler}")
    return Toolchain("; ".join(versions), words, compiler, "llvm")


def _llvm_suffix() -> str:
    """Return the suffix ("", "-19") of the newest clang on PATH that has the rest of LLVM."""
    found: dict[str, tuple[int, ...]] = {}
    lacking: list[tuple[tuple[int, ...], list[str]]] = []
    for suffix in _clang_suffixes():
        missing = [f"{name}{suffix}" for name in LLVM_PROGRAMS if not shutil.which(name + suffix)]
        version = parse_version(_first_line([f"clang{suffix}", "-dumpversion"]))
        if missing:
            lacking.append((version, missing))
        else:
            found[suffix] = version
    if found:
        return max(found, key=lambda suffix: found[suffix])
    if lacking:
        _, missing = max(lacking)
        raise CompilerMissingError(f"not installed: {', '.join(missing)}", LLVM_CURE)
    raise CompilerMissingError("there is no clang on this host", LLVM_CURE)


def _clang_suffixes() -> Iterator[str]:
    """Yield the suffix of each ``clang`` and ``clang-NUMBER`` on PATH, once."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    names = {path.name for place in places if place for path in Path(place).glob("clang*")}
    for name in sorted(names):
        if re.fullmatch(r"clang(-\d+)?", name) and shutil.which(name):
            yield name.removeprefix("clang")


def parse_version(text: str) -> tuple[int, ...]:
    """Return (12, 2, 0) for "12.2.0", and for "12.2.0git"; () for a text that is no version."""
    found = re.match(r"\d+(?:\.\d+)*", text.strip())
    return tuple(map(int, found[0].split("."))) if found else ()


def _first_line(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        package = PROGRAMS.get(argv[0])
        cure = f"sudo apt-get install --reinstall {package}" if package else LLVM_CURE
        raise CompilerMissingError(f"{argv[0]} does not run: {error}", cure) from error
    return done.stdout.partition("\n")[0]


def clean_environment() -> dict[str, str]:
    """Return the environment without the variables that change what a build or git does.

    No git of this environment leaves a process behind.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _FOREIGN and not name.startswith(_FOREIGN_PREFIXES)
    }
    for name in os.environ:  # git needs the certificates and proxies of this host
        if name.startswith("GIT_SSL") or name == "GIT_PROXY_COMMAND":
            kept[name] = os.environ[name]
    return kept | NO_BACKGROUND_GIT | {"LC_ALL": "C"}


def build_environment(ccache: Path) -> dict[str, str]:
    """Return the environment of make: a reproducible build that goes through ccache.

    CCACHE_NOHASHDIR leaves the working directory out of ccache's hash, so that objects are shared
    between directories: kbuild names all files relative to the object directory, and
    -fdebug-prefix-map keeps the directory out of the DWARF (build.py).
    """
    return clean_environment() | {
        "CCACHE_DIR": str(ccache),
        "CCACHE_MAXSIZE": CCACHE_SIZE,
        "CCACHE_NOHASHDIR": "1",
        "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
        "KBUILD_BUILD_VERSION": "1",
        "KBUILD_BUILD_USER": "mte-harness",
    }


def jobs() -> int:
    """Return the number of parallel jobs: one more than the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) + 1
