# SPDX-License-Identifier: MIT
"""``symbol+offset/size`` to function, file and line, through the kernel's vmlinux.

Only the compilation unit that covers an address is read (.debug_aranges says
which), and in it only the one function, so that a trace is decoded in a second
or two from a 40 MB vmlinux. Without DWARF nothing is known but whether the
vmlinux is of this kernel: the size in ``symbol+offset/size`` must be the symbol's.
"""

from __future__ import annotations

import bisect
import re
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import ELFError
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from harness.core.errors import ArtifactError
from harness.verdict.splat import Frame, Splat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# pyelftools has no type hints: a DIE, a CU and a line program are Any here.

_FRAME = re.compile(r"(?P<symbol>[\w.$]+)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)")
_EXACT = re.compile(r"pc : |WARNING: |[kK]ernel BUG at |BUG: ")
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
_EXECINSTR = 4  # SHF_EXECINSTR
_NOT_IN_KALLSYMS = ("$", ".L", "__kstrtab", "__ksym")  # scripts/mksysmap


@dataclass(frozen=True)
class Place:
    """A line of source. ``file`` is relative to the kernel's top directory."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class MismatchError(Exception):
    """The vmlinux is not of the kernel that printed this."""


class Symbolizer:
    """Decodes addresses of one vmlinux. Keeps the file open; use as long as needed.

    ArtifactError where the file is no ELF file with symbols.
    """

    def __init__(self, vmlinux: Path) -> None:
        self.path = vmlinux
        try:
            self._file = vmlinux.open("rb")
            elf: Any = ELFFile(self._file)
            self._symbols = dict(_functions(elf))
            self._dwarf: Any = (
                elf.get_dwarf_info(relocate_dwarf_sections=False) if elf.has_dwarf_info() else None
            )
        except (OSError, ELFError) as error:
            raise ArtifactError(f"{vmlinux}: {error}", "build the kernel again") from error
        self._aranges = self._dwarf.get_aranges() if self._dwarf else None
        self._lines: dict[int, tuple[list[int], list[tuple[str, int]]]] = {}

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def places(self, frame: Frame, *, exact: bool = False) -> tuple[Place, ...]:
        """Where a frame is: the innermost inlined function first, the symbol's own last.

        ``exact`` is for a program counter; every other frame is a return address,
        so that the call is the instruction before it. Empty without DWARF.
        MismatchError where the symbol is not in the vmlinux with that size.
        """
        candidates = self._symbols.get(frame.symbol, ())
        base = next((address for address, size in candidates if size == frame.size), None)
        if base is None:
            sizes = ", ".join(f"{size:#x}" for _, size in candidates) or "no such symbol"
            raise MismatchError(
                f"{self.path.name} does not match the kernel: "
                f"{frame.symbol} has size {frame.size:#x} in the trace, {sizes} in the file"
            )
        return self._places(base + frame.offset - (0 if exact else 1))

    def annotate(self, splat: Splat) -> Splat:
        """The splat with file and line behind every ``symbol+offset/size`` of its lines."""
        lines = []
        mismatch = ""
        pc_due = splat.pc is not None  # the first frame of a trace from registers is the pc
        for line in splat.lines:
            match = _FRAME.search(line)
            if not match:
                lines.append(line)
                continue
            frame = Frame(match["symbol"], int(match["offset"], 16), int(match["size"], 16))
            exact = bool(_EXACT.match(line))
            if pc_due and line.startswith(" ") and frame == splat.pc:
                exact, pc_due = True, False
            try:
                line += _suffix(self.places(frame, exact=exact))  # noqa: PLW2901
            except MismatchError as error:
                mismatch = mismatch or f"[not decoded: {error}]"
            lines.append(line)
        return replace(splat, lines=(*lines, mismatch) if mismatch else tuple(lines))

    @lru_cache(maxsize=4096)  # noqa: B019 - a Symbolizer lives as long as its kernel's run
    def _places(self, address: int) -> tuple[Place, ...]:
        if self._aranges is None:
            return ()
        offset = self._aranges.cu_offset_at_addr(address)
        if offset is None:
            return ()
        unit = self._dwarf.get_CU_at(offset)
        file, line = self._line(unit, address)
        chain = self._inlined(unit, address)
        places = []
        for die in reversed(chain):
            places.append(Place(self._name(die), self._relative(file), line))
            if "DW_AT_call_line" in die.attributes:
                line = die.attributes["DW_AT_call_line"].value
                file = self._file_name(unit, die.attributes["DW_AT_call_file"].value)
        return tuple(places)

    def _line(self, unit: Any, address: int) -> tuple[str, int]:
        """File and line of an address from the unit's line program."""
        if unit.cu_offset not in self._lines:
            self._lines[unit.cu_offset] = self._table(unit)
        addresses, rows = self._lines[unit.cu_offset]
        at = bisect.bisect_right(addresses, address) - 1
        return rows[at] if at >= 0 else ("??", 0)

    def _table(self, unit: Any) -> tuple[list[int], list[tuple[str, int]]]:
        program = self._dwarf.line_program_for_CU(unit)
        rows = [
            (entry.state.address, entry.state.file, entry.state.line)
            for entry in (program.get_entries() if program else ())
            if entry.state is not None and not entry.state.end_sequence
        ]
        # Of rows at one address the last is what the code after it belongs to.
        rows.sort(key=lambda row: row[0])
        return (
            [address for address, _, _ in rows],
            [(self._file_name(unit, file), line) for _, file, line in rows],
        )

    def _file_name(self, unit: Any, index: int) -> str:
        """A file's path, by its number in the unit's line program (DWARF 5, 6.2.4)."""
        header = self._dwarf.line_program_for_CU(unit).header
        if header.version < 5:
            entry = header.file_entry[index - 1]
            directory = header.include_directory[entry.dir_index - 1] if entry.dir_index else b""
        else:
            entry = header.file_entry[index]
            directory = header.include_directory[entry.dir_index]
        name: str = entry.name.decode(errors="replace")
        return name if name.startswith("/") else f"{directory.decode(errors='replace')}/{name}"

    def _inlined(self, unit: Any, address: int) -> list[Any]:
        """The function's DIE and those inlined in it around the address, outermost first."""
        chain: list[Any] = []
        die = unit.get_top_DIE()
        while True:
            die = next(
                (child for child in _code(die, top=not chain) if self._covers(child, address)), None
            )
            if die is None:
                return [d for d in chain if d.tag != "DW_TAG_lexical_block"]
            chain.append(die)

    def _covers(self, die: Any, address: int) -> bool:
        low = die.attributes.get("DW_AT_low_pc")
        high = die.attributes.get("DW_AT_high_pc")
        if low and high:
            end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
            return bool(low.value <= address < end)
        if "DW_AT_ranges" not in die.attributes:
            return False
        top = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = top.value if top else 0
        offset = die.attributes["DW_AT_ranges"].value
        for entry in self._dwarf.range_lists().get_range_list_at_offset(offset, cu=die.cu):
            if isinstance(entry, BaseAddressEntry):
                base = entry.base_address
            else:
                shift = 0 if entry.is_absolute else base
                if entry.begin_offset + shift <= address < entry.end_offset + shift:
                    return True
        return False

    def _name(self, die: Any) -> str:
        for link in ("DW_AT_abstract_origin", "DW_AT_specification"):
            if "DW_AT_name" not in die.attributes and link in die.attributes:
                die = die.get_DIE_from_attribute(link)
        name = die.attributes.get("DW_AT_name")
        return name.value.decode(errors="replace") if name else "??"

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._source_root()).replace("/./", "/")

    @lru_cache(maxsize=1)  # noqa: B019
    def _source_root(self) -> str:
        """The source's top directory, from the path of init/main.c; ends with a slash."""
        for address, _ in self._symbols.get("start_kernel", ()):
            offset = self._aranges.cu_offset_at_addr(address) if self._aranges else None
            if offset is not None:
                path, _ = self._line(self._dwarf.get_CU_at(offset), address)
                return path.removesuffix("init/main.c") if path.endswith("init/main.c") else ""
        return ""


def _functions(elf: Any) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """Names of code, assembler's included, and the address and size of each that has the name.

    kallsyms takes a symbol's end from the next symbol, and so does the size that
    the kernel prints (kernel/kallsyms.c, get_symbol_pos()): sizes here too.
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


def _code(die: Any, *, top: bool) -> Iterator[Any]:
    """Children that may hold code: functions of a unit, inlined ones of a function."""
    wanted = {"DW_TAG_subprogram"} if top else {"DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"}
    return (child for child in die.iter_children() if child.tag in wanted)


def _suffix(places: tuple[Place, ...]) -> str:
    """`` (file:line)``, with the functions around it where the code was inlined."""
    if not places:
        return ""
    around = "".join(f", inlined by {place.function} {place}" for place in places[1:])
    inner = f"{places[0].function} " if around else ""
    return f" ({inner}{places[0]}{around})"
