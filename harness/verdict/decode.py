# SPDX-License-Identifier: MIT
"""``symbol+offset/size`` of a trace as function, file and line, through the kernel's vmlinux.

The symbol table decides first whether the vmlinux is of the kernel that printed the trace: the
size that the kernel printed must be the symbol's. addr2line(1) then reads the DWARF, one process
for all addresses of a splat: 0.4 s for 20 frames of a 40 MB vmlinux.
"""

from __future__ import annotations

import bisect
import re
import struct
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness.core.errors import ArtifactError, CompilerMissingError
from harness.core.toolchain import CROSS
from harness.verdict.splat import Frame, Splat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDR2LINE = f"{CROSS}addr2line"

_FRAME = re.compile(r"(?P<symbol>[\w.$]+)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)")
_EXACT = re.compile(r"pc : |WARNING: |[kK]ernel BUG at |BUG: ")
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
_EXECINSTR = 4  # SHF_EXECINSTR
_NOT_IN_KALLSYMS = ("$", ".L", "__kstrtab", "__ksym")  # scripts/mksysmap
# "mm/memory.c:120", or "mm/memory.c:120 (discriminator 3)"; "?" or 0 is an unknown line.
_LOCATION = re.compile(r"(?P<file>.+):(?P<line>[1-9]\d*)(?: \(discriminator \d+\))?")
_FIRST_SOURCE = ("start_kernel", "init/main.c")


@dataclass(frozen=True)
class Place:
    """A line of source. ``file`` is relative to the kernel's top directory."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class MismatchError(Exception):
    """The vmlinux is not of the kernel that printed the trace."""


class Symbolizer:
    """Decodes addresses of one vmlinux, each once.

    Raise ArtifactError where the file is no ELF file with symbols.
    """

    def __init__(self, vmlinux: Path) -> None:
        self.path = vmlinux
        try:
            with vmlinux.open("rb") as file:
                self._symbols = dict(_functions(ELFFile(file)))
        except (OSError, ELFError) as error:
            raise ArtifactError(f"{vmlinux}: {error}", "build the kernel again") from error
        self._known: dict[int, tuple[Place, ...]] = {}
        self._root: str | None = None

    def places(self, frame: Frame, *, exact: bool = False) -> tuple[Place, ...]:
        """Return where a frame is: the innermost inlined function first, the symbol's own last.

        ``exact`` is for a program counter; every other frame is a return address, and its call is
        the instruction before it. The result is empty where the vmlinux has no line for the
        address (no DWARF, assembler). Raise MismatchError if the symbol is not in the vmlinux
        with that size.
        """
        address = self._address(frame, exact=exact)
        self._decode([address])
        return self._known[address]

    def annotate(self, splat: Splat) -> Splat:
        """Return the splat with file and line behind each ``symbol+offset/size`` of its lines.

        If the vmlinux does not match the kernel that printed the splat, a line is added about it.
        """
        addresses: list[int | None] = []
        mismatch = ""
        pc_due = splat.pc is not None  # the first frame of a trace from registers is the pc
        for line in splat.lines:
            match = _FRAME.search(line)
            if not match:
                addresses.append(None)
                continue
            frame = Frame(match["symbol"], int(match["offset"], 16), int(match["size"], 16))
            exact = bool(_EXACT.match(line))
            if pc_due and line.startswith(" ") and frame == splat.pc:
                exact, pc_due = True, False
            try:
                addresses.append(self._address(frame, exact=exact))
            except MismatchError as error:
                mismatch = mismatch or f"[not decoded: {error}]"
                addresses.append(None)
        self._decode([address for address in addresses if address is not None])
        lines = [
            line if address is None else line + _suffix(self._known[address])
            for line, address in zip(splat.lines, addresses, strict=True)
        ]
        return replace(splat, lines=(*lines, mismatch) if mismatch else tuple(lines))

    def _address(self, frame: Frame, *, exact: bool) -> int:
        """Return an address inside the instruction of ``frame``. Raise MismatchError."""
        candidates = self._symbols.get(frame.symbol, ())
        base = next((address for address, size in candidates if size == frame.size), None)
        if base is None:
            sizes = ", ".join(f"{size:#x}" for _, size in candidates) or "no such symbol"
            raise MismatchError(
                f"{self.path.name} does not match the kernel: "
                f"{frame.symbol} has size {frame.size:#x} in the trace, {sizes} in the file"
            )
        return base + frame.offset - (0 if exact else 1)

    def _decode(self, addresses: list[int]) -> None:
        """Look up those of ``addresses`` that are not in ``_known`` yet."""
        if self._root is None:
            self._root = self._source_root()
        new = sorted({address for address in addresses if address not in self._known})
        for address, places in self._addr2line(new).items():
            self._known[address] = tuple(
                replace(place, file=place.file.removeprefix(self._root).replace("/./", "/"))
                for place in places
            )

    def _source_root(self) -> str:
        """Return the top directory of the source as the DWARF names it, with a slash at the end."""
        function, file = _FIRST_SOURCE
        addresses = [address for address, _ in self._symbols.get(function, ())]
        for places in self._addr2line(addresses).values():
            if places and places[-1].file.endswith(file):
                return places[-1].file.removesuffix(file)
        return ""

    def _addr2line(self, addresses: list[int]) -> dict[int, list[Place]]:
        """Return the lines of ``addresses``, innermost function first; none where unknown.

        Raise CompilerMissingError, or ArtifactError for a vmlinux that addr2line cannot read.
        """
        if not addresses:
            return {}
        argv = [ADDR2LINE, "-afie", str(self.path), *map(hex, addresses)]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", check=True
            )
        except FileNotFoundError as error:
            raise CompilerMissingError(
                f"no {ADDR2LINE} on this host", "sudo apt-get install binutils-aarch64-linux-gnu"
            ) from error
        except subprocess.CalledProcessError as error:
            raise ArtifactError(
                f"{ADDR2LINE} cannot read {self.path}", "build the kernel again", error.stderr
            ) from error
        return _parse(done.stdout)


def _parse(output: str) -> dict[int, list[Place]]:
    """Return the places in the output of ``addr2line -afi``.

    For each address: a line with the address, then two for each function around it, the name and
    ``file:line``.
    """
    found: dict[int, list[Place]] = {}
    lines = iter(output.splitlines())
    places: list[Place] = []
    for line in lines:
        if line.startswith("0x"):
            places = found.setdefault(int(line, 16), [])
        elif location := _LOCATION.fullmatch(next(lines)):
            places.append(Place(line, location["file"], int(location["line"])))
    return found


def _functions(elf: Any) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """Yield each name of code, assembler's included, with the addresses and sizes that it names.

    A symbol ends where the next one starts, as in the size that the kernel prints
    (kernel/kallsyms.c, get_symbol_pos()). ``elf`` is an ELFFile, which has no type hints.
    """
    table = elf.get_section_by_name(".symtab")
    if table is None:
        raise ELFError("no symbol table")
    strings: bytes = elf.get_section(table["sh_link"]).data()
    code = {i for i, section in enumerate(elf.iter_sections()) if section["sh_flags"] & _EXECINSTR}
    named: dict[str, set[int]] = {}
    starts: set[int] = set()
    for name, _, _, section, address, _ in _SYMBOL.iter_unpack(table.data()):
        label = strings[name : strings.index(b"\0", name)].decode(errors="replace")
        if not section or label.startswith(_NOT_IN_KALLSYMS):
            continue
        starts.add(address)
        if section in code:
            named.setdefault(label, set()).add(address)
    order = sorted(starts)
    for label, addresses in named.items():
        places = []
        for address in sorted(addresses):
            after = bisect.bisect_right(order, address)
            if after < len(order):
                places.append((address, order[after] - address))
        yield label, tuple(places)


def _suffix(places: tuple[Place, ...]) -> str:
    """Return `` (file:line)``, with the functions around it where the code was inlined."""
    if not places:
        return ""
    around = "".join(f", inlined by {place.function} {place}" for place in places[1:])
    inner = f"{places[0].function} " if around else ""
    return f" ({inner}{places[0]}{around})"
