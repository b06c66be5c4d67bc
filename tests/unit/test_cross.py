# SPDX-License-Identifier: MIT
"""What a guest program is linked with, and what its place in the cache depends on."""

from __future__ import annotations

import shutil
import struct
from typing import TYPE_CHECKING

import pytest

from harness.core import cross
from harness.core.cross import PAGE_SIZES, compile_program, probe_flags, user_flags
from harness.core.errors import ProgramError
from harness.core.paths import resources
from harness.core.progress import plain_progress
from harness.core.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROBE_FLAGS = probe_flags(4096)
PT_LOAD = 1
EM_AARCH64 = 183  # e_machine of the ELF header
PROGRAM = """
#define _GNU_SOURCE
#include <sched.h>
#include "pattern.h"
int part(void);
int main(void) { return sched_getcpu() + pattern_tag(1, 2) PART; }
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "programs", plain_progress())


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory like guest/, whose library is pattern.c alone."""
    library = tmp_path / "sources" / "lib"
    library.mkdir(parents=True)
    shutil.copy(cross.LIBRARY / "pattern.c", library)
    monkeypatch.setattr(cross, "LIBRARY", library)
    return library.parent


def test_a_probe_is_linked_with_library_and_parts(store: Store, sources: Path) -> None:
    source = write(sources / "probes/area/name.c", PROGRAM.replace("PART", "+ part()"))
    write(sources / "probes/area/name/part.c", "int part(void) { return 3; }\n")
    assert compile_program(store, [source], PROBE_FLAGS).read_bytes()[18] == EM_AARCH64


def test_a_directory_beside_another_program_is_not_a_part(store: Store, sources: Path) -> None:
    source = write(sources.parent / "name.c", PROGRAM.replace("PART", ""))
    write(sources.parent / "name/unrelated.c", "#error\n")
    assert compile_program(store, [source], PROBE_FLAGS).is_file()


@pytest.mark.parametrize("changed", ["lib/pattern.c", "probes/area/name/part.c", "probes/area/x.h"])
def test_a_change_is_another_program(changed: str, store: Store, sources: Path) -> None:
    source = write(sources / "probes/area/name.c", PROGRAM.replace("PART", "+ part()"))
    write(sources / "probes/area/name/part.c", "int part(void) { return 3; }\n")
    write(sources / "probes/area/x.h", "")
    before = compile_program(store, [source], PROBE_FLAGS)
    assert compile_program(store, [source], PROBE_FLAGS) == before
    path = sources / changed
    path.write_text(path.read_text() + "int other = 5;\n")
    assert compile_program(store, [source], PROBE_FLAGS) != before


def test_another_checkout_has_the_same_program(
    store: Store, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The object of a library that names its place differs in each checkout; the sources do not.
    write(
        sources / "lib/place.c",
        "const char *place(void); const char *place(void)\n{ return __FILE__; }\n",
    )
    source = write(sources / "probes/area/name.c", PROGRAM.replace("PART", ""))
    keys = [compile_program(store, [source], PROBE_FLAGS).parent.name]
    shutil.copytree(sources, tmp_path / "elsewhere")
    monkeypatch.setattr(cross, "LIBRARY", tmp_path / "elsewhere/lib")
    other = Store(tmp_path / "other", "programs", plain_progress())
    keys.append(
        compile_program(other, [tmp_path / "elsewhere/probes/area/name.c"], PROBE_FLAGS).parent.name
    )
    assert keys[0] == keys[1]


def test_an_error_in_the_library_names_the_file(store: Store, sources: Path) -> None:
    write(sources / "lib/pattern.c", "int pattern_tag(void) { return nothing; }\n")
    source = write(sources / "probes/area/name.c", PROGRAM.replace("PART", ""))
    with pytest.raises(ProgramError, match=r"lib/pattern\.c does not compile"):
        compile_program(store, [source], PROBE_FLAGS)


@pytest.mark.parametrize("flags", [probe_flags, user_flags])
def test_program_and_library_are_for_one_page_size(
    flags: Callable[[int], tuple[str, ...]], store: Store, sources: Path
) -> None:
    text = "#define TEXT(x) #x\n#define PAGE(x) TEXT(x)\n"
    write(
        sources / "lib/pattern.c", text + 'const char of_library[] = "library " PAGE(PROBE_PAGE);\n'
    )
    source = write(
        sources / "probes/area/name.c",
        text + "extern const char of_library[];\n"
        'const char *const both[] = { of_library, "program " PAGE(PROBE_PAGE) };\n'
        "int main(int count, char **words) { (void)words; return both[count & 1][0]; }\n",
    )
    for size in PAGE_SIZES:
        program = compile_program(store, [source], flags(size)).read_bytes()
        assert f"library {size}UL\0".encode() in program
        assert f"program {size}UL\0".encode() in program


@pytest.mark.parametrize("size", PAGE_SIZES)
def test_a_program_can_be_loaded_with_pages_of_any_size(
    size: int, store: Store, sources: Path
) -> None:
    """Its segments are aligned to 64 KiB: two of them share no page."""
    source = write(sources / "probes/area/name.c", PROGRAM.replace("PART", ""))
    program = compile_program(store, [source], probe_flags(size)).read_bytes()
    (offset,) = struct.unpack_from("<Q", program, 32)  # Elf64_Ehdr and Elf64_Phdr, elf(5)
    entry_size, count = struct.unpack_from("<HH", program, 54)
    headers = [struct.unpack_from("<2I6Q", program, offset + i * entry_size) for i in range(count)]
    aligned = [header[7] for header in headers if header[0] == PT_LOAD]
    assert aligned
    assert {PAGE_SIZES[-1]} == set(aligned)


def test_what_gcc_says_of_a_source_that_is_not_utf8(store: Store, tmp_path: Path) -> None:
    """gcc quotes the line as it stands."""
    source = tmp_path / "old.c"
    source.write_bytes(b"int main(void) { /* M\xfcller */ return wrong; }\n")
    with pytest.raises(ProgramError) as caught:
        compile_program(store, [source], user_flags(4096))
    assert "'wrong' undeclared" in caught.value.cause.replace("\u2018", "'").replace("\u2019", "'")
    assert "M\ufffdller" in caught.value.details


def test_where_the_checkout_lies_does_not_matter(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle brings a root image with our programs in it to hosts with other directories."""
    file = sources / "one.c"
    write(file, PROGRAM)
    here = cross._key("gcc", PROBE_FLAGS, [file])
    monkeypatch.setattr(cross, "resources", lambda: tmp_path / "elsewhere")
    flags = tuple(
        flag.replace(str(resources()), str(tmp_path / "elsewhere")) for flag in PROBE_FLAGS
    )
    assert cross._key("gcc", flags, [file]) == here
    assert cross._key("gcc", PROBE_FLAGS, [file]) != here
