# SPDX-License-Identifier: MIT
"""The programs that build a kernel, and their environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import CompilerMissingError

if TYPE_CHECKING:
    from pathlib import Path

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

# Variables of the user that kbuild or gcc would obey (Documentation/kbuild/kbuild.rst).
_FOREIGN = {
    "ARCH", "AS", "CC", "CFLAGS", "CPATH", "CPP", "CPPFLAGS", "CROSS_COMPILE", "C_INCLUDE_PATH",
    "HOSTCC", "HOSTCFLAGS", "HOSTLDFLAGS", "INSTALL_HDR_PATH", "KAFLAGS", "KCFLAGS", "KCPPFLAGS",
    "LANG", "LANGUAGE", "LD", "LDFLAGS", "LLVM", "LOCALVERSION", "MAKEFLAGS", "MAKELEVEL", "MFLAGS",
    "O", "OUTPUT", "V", "W",
}  # fmt: skip
# LC_* and LANG are in ccache's hash: an interactive shell and a nightly job are to share objects.
_FOREIGN_PREFIXES = ("KBUILD_", "KCONFIG_", "CCACHE_", "GIT_", "LC_")


@dataclass(frozen=True)
class Toolchain:
    """The versions of cross compiler and linker, which are a part of each kernel's key."""

    identity: str


def find_toolchain() -> Toolchain:
    """Return the toolchain of this host. Raise CompilerMissingError, with a cure."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        packages = " ".join(dict.fromkeys(PROGRAMS[name] for name in missing))
        raise CompilerMissingError(
            f"not installed: {', '.join(missing)}", f"sudo apt-get install {packages}"
        )
    versions = [_first_line([f"{CROSS}{tool}", "--version"]) for tool in ("gcc", "ld")]
    return Toolchain("; ".join(versions))


def _first_line(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompilerMissingError(
            f"{argv[0]} does not run: {error}",
            f"sudo apt-get install --reinstall {PROGRAMS[argv[0]]}",
        ) from error
    return done.stdout.partition("\n")[0]


def clean_environment() -> dict[str, str]:
    """Return the environment without the variables that change what a build or git does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _FOREIGN and not name.startswith(_FOREIGN_PREFIXES)
    }
    for name in os.environ:  # git needs the certificates and proxies of this host
        if name.startswith("GIT_SSL") or name == "GIT_PROXY_COMMAND":
            kept[name] = os.environ[name]
    return kept | {"LC_ALL": "C"}


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
