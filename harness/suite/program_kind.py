# SPDX-License-Identifier: MIT
"""What a file of the user's is: C, Python, shell or an arm64 program, by its name and its content.

A file that the guest cannot run is refused here, before anything boots: in the guest it would
fail on every kernel, and a bisection would call them all bad.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.segments import InterpSegment

from harness.core.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What the guest's root image has (harness/guest/root_image.py): Debian 12's C library and Python,
# and busybox's shell.
INTERPRETER = "/lib/ld-linux-aarch64.so.1"
GLIBC = (2, 36)
LIBRARIES = frozenset({
    "ld-linux-aarch64.so.1", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0",
    "libresolv.so.2", "librt.so.1",
})  # fmt: skip
SHELLS = frozenset({"sh", "ash", "dash", "busybox"})
STATIC = "build it for arm64 with -static, or give its C source"

# syzbot's reproducers are downloaded as "repro.c?x=14d0f".
_C_NAME = re.compile(r"\.c(?![\w+])")
_PYTHON_NAME = re.compile(r"\.py(?!\w)")
_CXX_NAME = re.compile(r"\.(?:cc|cpp|cxx|c\+\+|C)$")
_C_TEXT = re.compile(rb"^\s*#\s*include\s*[<\"]|\bmain\s*\([^;]*\)\s*\{", re.MULTILINE)
_GLIBC_VERSION = re.compile(r"GLIBC_(\d+)\.(\d+)")


class Kind(enum.Enum):
    """How a program comes to run in the guest."""

    C = "compiled here"
    SCRIPT = "run by an interpreter of the guest"
    BINARY = "run as it is"


@dataclass(frozen=True)
class ProgramKind:
    """A kind; ``interpreter`` are the words before a script's path: ("sh", "-e")."""

    kind: Kind
    interpreter: tuple[str, ...] = ()

    @property
    def is_python(self) -> bool:
        """Return whether Python runs it."""
        return self.interpreter[:1] == ("python3",)


def kind_of(path: Path) -> ProgramKind:
    """Return what ``path`` is. Raise ProgramError for what the guest cannot run."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # It would be read to its end, which a pipe or a device need not have, and again.
            raise ProgramError(f"{path} is no file, but a pipe or a device", "write it to a file")
        data = path.read_bytes()
    except OSError as error:
        raise ProgramError(f"no program {path}: {error.strerror}") from error
    if data.startswith(b"\x7fELF"):
        _check_binary(path)
        return ProgramKind(Kind.BINARY)
    if not data.strip():
        raise ProgramError(f"{path} is empty")
    if _CXX_NAME.search(path.name):
        raise ProgramError(f"{path} is C++, and only C is compiled here", STATIC)
    if data.startswith(b"#!"):
        return ProgramKind(Kind.SCRIPT, _interpreter(path, data))
    if _PYTHON_NAME.search(path.name):
        return ProgramKind(Kind.SCRIPT, ("python3",))
    if _C_NAME.search(path.name) or _C_TEXT.search(data):
        return ProgramKind(Kind.C)
    if path.suffix == ".sh":
        return ProgramKind(Kind.SCRIPT, ("sh",))
    raise ProgramError(
        f"{path} is no C, Python or shell program, and no arm64 program",
        "a script needs a #! line, or a name that ends in .py or .sh",
    )


def _interpreter(path: Path, data: bytes) -> tuple[str, ...]:
    """Return the words that run a script in the guest, by its ``#!`` line."""
    words = data[2:].partition(b"\n")[0].decode(errors="replace").split()
    if words and words[0].endswith("/env"):
        words = [word for word in words[1:] if word != "-S"]
    name, *options = words or [""]
    base = name.rpartition("/")[2]
    if re.fullmatch(r"python[\d.]*", base):
        return ("python3", *options)
    if base in SHELLS:
        return ("sh", *(word for word in options if word != "sh"))
    raise ProgramError(
        f"{path} needs {name or 'an interpreter'}, which the guest lacks",
        "its interpreters are python3 and busybox's sh",
    )


def _check_binary(path: Path) -> None:
    """Raise ProgramError for a binary that the guest's kernel or C library cannot start."""
    with path.open("rb") as stream:
        try:
            elf = ELFFile(stream)
            machine = elf.get_machine_arch()
            if (machine, elf.elfclass, elf.little_endian) != ("AArch64", 64, True):
                raise ProgramError(f"{path} is a program for {machine}, the guest is arm64", STATIC)
            if elf.header.e_type not in {"ET_EXEC", "ET_DYN"}:
                raise ProgramError(f"{path} is no program, but an object file or a module")
            for wish in _unmet(elf):
                raise ProgramError(f"{path} needs {wish}, which the guest lacks", STATIC)
        except (ELFError, ValueError, KeyError, AttributeError, UnicodeDecodeError) as error:
            raise ProgramError(f"{path} is a damaged ELF file: {error}") from error


def _unmet(elf: ELFFile) -> Iterator[str]:
    """Yield what a dynamic program needs and the guest does not have."""
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment) and segment.get_interp_name() != INTERPRETER:
            yield segment.get_interp_name()
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags("DT_NEEDED"):
                # pyelftools sets the attribute on tags of this kind only.
                needed = str(getattr(tag, "needed"))  # noqa: B009
                if needed not in LIBRARIES:
                    yield needed
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                for version in versions:
                    found = _GLIBC_VERSION.match(version.name)
                    if found and (int(found[1]), int(found[2])) > GLIBC:
                        yield version.name
