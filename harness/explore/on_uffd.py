# SPDX-License-Identifier: MIT
"""Operations through a userfaultfd, on private anonymous memory."""

from __future__ import annotations

from harness.explore.memory import ANONYMOUS, GRANULES, PROT_RW, ZERO, Page
from harness.explore.operations import Part, operation
from harness.explore.steps import Code
from harness.explore.world import BYTES

KINDS_OF_UFFD = ANONYMOUS - {"hugetlb"}
MOVES = (6, 8)  # adef440691ba, UFFDIO_MOVE


def _fits(part: Part) -> bool:
    there = part.world.ground.userfaultfd and part.region.kind in KINDS_OF_UFFD
    return there and part.all_mapped()


@operation("uffd", 3)
def uffd_copy(part: Part) -> None:
    """Empty pages, and fill them with UFFDIO_COPY: their tags are 0."""
    if _fits(part):
        byte = part.value % BYTES
        part.world.step(Code.UFFD_COPY, part.actor, part.address, part.length, byte)
        part.treat()
        part.region.change(part.span, own=Page(ZERO.tags, bytes([byte]) * GRANULES))


@operation("uffd", 2)
def uffd_zero(part: Part) -> None:
    """Empty pages, and map the page of zeros with UFFDIO_ZEROPAGE."""
    if _fits(part):
        part.world.step(Code.UFFD_ZERO, part.actor, part.address, part.length)
        part.treat()
        part.region.change(part.span, own=ZERO)


@operation("uffd", 2)
def uffd_protect(part: Part) -> None:
    """Forbid writing of pages with UFFDIO_WRITEPROTECT, and allow it again."""
    if _fits(part):
        part.world.step(Code.UFFD_PROTECT, part.actor, part.address, part.length)
        part.treat()


@operation("uffd", 3)
def uffd_move(part: Part) -> None:
    """Move the first half of a part to its second half with UFFDIO_MOVE, tags and all.

    The kernel moves between mappings with the same protection only (mm/userfaultfd.c,
    validate_move_areas()).
    """
    spots, half = part.region.spots, len(part.span) // 2
    forms = {(spots[index].prot, spots[index].mte) for index in part.span}
    if not half or len(forms) > 1 or not _fits(part) or not part.all_allow(PROT_RW):
        return
    if part.world.ground.release < MOVES:
        return
    source = range(part.span.start, part.span.start + half)
    there = range(source.stop, source.stop + half)
    length = part.length // len(part.span) * half
    words = (part.region.at(there.start), length, part.region.at(source.start))
    part.world.step(Code.UFFD_MOVE, part.actor, *words)
    part.region.whole = False
    for index, to in zip(source, there, strict=True):
        part.region.change(range(to, to + 1), own=part.region.page(index))
        part.region.change(range(index, index + 1), own=ZERO)
