# SPDX-License-Identifier: MIT
"""Memory as the model has it: what each granule's tag and data must be, and who shares it.

A page is two byte strings, its granules' tags and their data. A granule's data is one byte that
fills it. DIRT in place of either: it may be anything. Pages are values: who copies a page on
write has a copy here from the beginning.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.explore.steps import UNKNOWN, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = 4096
GRANULE = 16
GRANULES = PAGE // GRANULE
DIRT = 255

# Values of the arm64 kernel's UAPI headers.
PROT_NONE, PROT_READ, PROT_WRITE, PROT_MTE = 0, 1, 2, 0x20
PROT_RW = PROT_READ | PROT_WRITE


@dataclass(frozen=True)
class Page:
    """What a page holds."""

    tags: bytes
    data: bytes

    def with_tags(self, first: int, count: int, tag: int) -> Page:
        """Return the page with ``count`` tags from granule ``first`` on set to ``tag``."""
        tags = self.tags[:first] + bytes([tag]) * count + self.tags[first + count :]
        return Page(tags, self.data)

    def with_data(self, first: int, count: int, byte: int) -> Page:
        """Return the page with ``count`` granules from ``first`` on filled with ``byte``."""
        data = self.data[:first] + bytes([byte]) * count + self.data[first + count :]
        return Page(self.tags, data)

    def or_zero(self) -> Page:
        """Return what is known of a page that may have been replaced by one of zeros."""
        return Page(_unless_zero(self.tags), _unless_zero(self.data))

    def without_tags(self) -> Page:
        """Return the page as it reads where LDG gives 0 for lack of PROT_MTE (Arm ARM C6.2)."""
        return Page(bytes(len(self.tags)), self.data)


def _unless_zero(values: bytes) -> bytes:
    return bytes(0 if value == 0 else DIRT for value in values)


ZERO = Page(bytes(GRANULES), bytes(GRANULES))


@functools.lru_cache(maxsize=4096)
def _runs_of(page: Page) -> tuple[Run, ...]:
    return tuple(
        Run(len(list(group)), _known(tag), _known(byte))
        for (tag, byte), group in itertools.groupby(zip(page.tags, page.data, strict=True))
    )


def _known(value: int) -> int:
    return UNKNOWN if value == DIRT else value


def runs_of(pages: Iterable[Page]) -> tuple[Run, ...]:
    """Return the runs of pages in a row."""
    merged: list[Run] = []
    for run in itertools.chain.from_iterable(map(_runs_of, pages)):
        last = merged[-1] if merged else None
        if last and (last.tag, last.byte) == (run.tag, run.byte):
            merged[-1] = dataclasses.replace(last, granules=last.granules + run.granules)
        else:
            merged.append(run)
    return tuple(merged)


@dataclass
class File:
    """The pages that all mappings of a file, or of shared anonymous memory, see."""

    pages: list[Page]


@dataclass(frozen=True)
class Spot:
    """One page of a mapping.

    ``own`` is the page of a private mapping, None where it still has the file's. ``flags`` are
    words for what madvise(2) told the kernel of it.
    """

    prot: int
    mte: bool = False
    own: Page | None = None
    flags: frozenset[str] = frozenset()
    mapped: bool = True
    guarded: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of region."""

    shared: bool
    memfd: bool = False


KINDS = {
    "anon": Kind(shared=False),
    "huge": Kind(shared=False),  # a huge page, if the kernel gives one
    "shared": Kind(shared=True),
    "memfd": Kind(shared=True, memfd=True),
    "memfd-private": Kind(shared=False, memfd=True),
    "hugetlb": Kind(shared=False),  # a page of the pool
    "folios": Kind(shared=False),  # folios of 64 KiB, if the kernel gives them
}
ANONYMOUS = frozenset({"anon", "huge", "hugetlb", "folios"})  # their pages are no file's


@dataclass
class Region:
    """A mapping in one address space: ``spots`` from ``address`` on.

    ``whole``: no system call has ever treated a part of it, so that it is one VMA.
    """

    number: int
    kind: str
    address: int
    spots: list[Spot]
    file: File | None = None
    fd: int = -1
    whole: bool = True

    def copy(self) -> Region:
        """Return the same region for another address space."""
        return dataclasses.replace(self, spots=list(self.spots))

    @property
    def private(self) -> bool:
        """Return whether stores are seen by nobody else."""
        return not KINDS[self.kind].shared

    def page(self, index: int) -> Page:
        """Return what page ``index`` holds, whether or not it can be read."""
        own = self.spots[index].own
        if own is not None:
            return own
        return self.file.pages[index] if self.file else ZERO

    def seen(self, index: int) -> Page:
        """Return what loads and LDG of page ``index`` give."""
        page = self.page(index)
        return page if self.spots[index].mte else page.without_tags()

    def put(self, index: int, page: Page) -> None:
        """Change page ``index`` by a store."""
        if self.private:
            self.spots[index] = dataclasses.replace(self.spots[index], own=page)
        elif self.file:
            self.file.pages[index] = page

    def at(self, index: int) -> int:
        """Return the address of page ``index``."""
        return self.address + index * PAGE

    def change(self, span: range, **fields: object) -> None:
        """Change fields of some spots."""
        for index in span:
            self.spots[index] = dataclasses.replace(self.spots[index], **fields)  # type: ignore[arg-type]

    def readable(self) -> Iterator[range]:
        """Yield the spans whose pages can be read."""
        start = None
        for index, spot in enumerate([*self.spots, None]):
            fits = spot is not None and spot.mapped and not spot.guarded and spot.prot & PROT_READ
            if fits and start is None:
                start = index
            elif not fits and start is not None:
                yield range(start, index)
                start = None


@dataclass
class Space:
    """An address space: its regions by number."""

    regions: dict[int, Region] = field(default_factory=dict)


@dataclass
class Actor:
    """A process or thread.

    ``mode``: how its tag check faults are reported; "off" until it has set one, when system calls
    take no pointers with a tag (tagged-address-abi.rst, section 2).
    """

    number: int
    space: Space
    mode: str = "off"
    leads: bool = True  # the first thread of its process
