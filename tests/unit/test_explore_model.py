# SPDX-License-Identifier: MIT
"""The model of `explore`: what memory must be after operations, and what system calls must give."""

from __future__ import annotations

import random
import re
import struct

import pytest

from harness.core.paths import resources
from harness.explore.by_chance import random_sequences
from harness.explore.generate import exhaustive, steps_of
from harness.explore.memory import DIRT, GRANULES, KINDS, PROT_READ, ZERO, Page, runs_of
from harness.explore.operations import TABLE, Operation, apply, choose_span
from harness.explore.steps import Code, Run, Script, Step, TagStore, Want
from harness.explore.world import Ground, World

HEADER = resources() / "guest" / "explore" / "interpreter" / "steps.h"
ANON, HUGE, SHARED, MEMFD, PRIVATE, HUGETLB, FOLIOS = range(len(KINDS))
FIRST_HALF, SECOND_HALF = 1, 2
READ_WRITE_MTE, READ_ONLY = 10, 8
GROUND = Ground((7, 3), "/dev/zram0")


def mapped(kind: int, *, mte: bool = True, filled: bool = True) -> Operation:
    """Return the operation that maps four pages."""
    return Operation("map", value=kind + len(KINDS) * (2 + 6 * (4 * filled + mte)))


def ran(*operations: Operation, ground: Ground = GROUND) -> World:
    """Return the world after some operations."""
    world = World(ground)
    for operation in operations:
        apply(world, operation)
    return world


def pages(world: World, actor: int = 0) -> list[Page]:
    """Return what the first region of an actor holds, as it is seen."""
    region = next(iter(world.actors[actor].space.regions.values()))
    return [region.seen(index) for index in range(len(region.spots))]


@pytest.mark.parametrize(
    ("enum", "name"), [(Code, "step_code"), (TagStore, "tag_store"), (Want, "step_want")]
)
def test_numbers_are_those_of_the_interpreter(enum: type[Code], name: str) -> None:
    body = re.search(rf"enum {name} {{(.*?)}};", HEADER.read_text(), re.DOTALL)
    assert body
    words = re.findall(
        r"\b(?:STEP|STORE|WANT)_(\w+)", re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    )
    assert words == [one.name for one in enum]


def test_a_script_has_texts_and_runs_at_their_addresses() -> None:
    script = Script()
    runs = (Run(70_000, 3, -1), Run(1, 0, 5))
    script.add([Step(Code.FILE, 0, ("/a", "b")), Step(Code.CHECK, 1, (64, runs), want=-7)], 9)
    data = script.bytes()
    magic, size, count, table, steps, *_ = struct.unpack_from("<8Q", data)
    assert (size, count) == (len(data), 1)
    assert struct.unpack_from("<4I", data, table) == (0, 2, 0, 9)
    first = struct.unpack_from("<BBBBIq6qq", data, steps)
    path = first[6] - 0x10_0000_0000
    assert data[path : path + 3] == b"/a\0"
    second = struct.unpack_from("<BBBBIq6qq", data, steps + 72)
    assert second[1] == 1
    assert second[8] == 3  # a run has at most 65535 granules
    assert second[-1] == -7
    assert magic == 0x3145544D45545458


def test_the_same_seed_gives_the_same_sequences() -> None:
    one, other = random_sequences(4, 30), random_sequences(4, 30)
    assert one == other != random_sequences(5, 30)
    assert len(one) == 30
    assert {operation.kind for sequence in one for operation in sequence} > {"map", "fork", "stg"}


def test_all_short_sequences() -> None:
    every = list(exhaustive(2))
    assert len(every) == 21 * (12 + 12**2) == len(set(every))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_taken_out_a_sequence_stays_valid(seed: int) -> None:
    chance = random.Random(seed)
    (sequence,) = random_sequences(seed, 1)
    part = tuple(one for one in sequence if chance.random() < 0.7)
    steps = steps_of(part, GROUND)
    Script().add(steps, 1)
    alive = {0}
    for step in steps:
        assert step.actor in alive
        if step.code in {Code.FORK, Code.THREAD}:
            alive.add(int(str(step.args[0])))
        elif step.code is Code.EXIT:
            alive.remove(step.actor)


def test_prot_mte_stays() -> None:
    world = ran(
        mapped(ANON, mte=False), Operation("protect", value=READ_WRITE_MTE), Operation("protect")
    )
    region = world.actors[0].space.regions[1]
    assert all(spot.mte for spot in region.spots)
    assert world.steps[-1].args[2] == 3  # asked for without PROT_MTE


def test_memory_without_prot_mte_shows_no_tags_and_takes_none() -> None:
    world = ran(mapped(ANON, mte=False), Operation("stg", value=9))
    assert {tag for page in pages(world) for tag in page.tags} == {0}
    apply(world, Operation("protect", value=READ_WRITE_MTE))
    assert {tag for page in pages(world) for tag in page.tags} == {0}


def test_a_child_has_a_copy_of_private_memory_and_shares_the_rest() -> None:
    for kind in (ANON, HUGE, SHARED, MEMFD):
        world = ran(mapped(kind), Operation("fork"), Operation("fill", actor=1, value=9))
        same = pages(world) == pages(world, 1)
        assert same == (kind in {SHARED, MEMFD}), kind


def test_a_private_mapping_of_a_file_keeps_its_own_pages_only() -> None:
    world = ran(mapped(PRIVATE, filled=False), Operation("fill", span=FIRST_HALF, value=9))
    assert [page.data[0] for page in pages(world)] == [9, 9, 0, 0]
    apply(world, Operation("dontneed"))
    assert pages(world) == [ZERO] * 4


def test_truncation_takes_private_copies_and_a_hole_does_not() -> None:
    for kind, left in (("truncate", [9, 9, 0, 0]), ("punch", [9, 9, 9, 9])):
        world = ran(mapped(PRIVATE, filled=False), Operation("fill", value=9), Operation(kind))
        assert [page.data[0] for page in pages(world)] == left


def test_after_madv_free_zeros_are_as_good_as_what_was() -> None:
    world = ran(mapped(ANON), Operation("free"), Operation("fill", span=FIRST_HALF, value=7))
    first, last = pages(world)[0], pages(world)[-1]
    assert set(first.data) == {7}
    assert set(first.tags) == {DIRT} == set(last.data)
    assert runs_of([last])[0] == Run(GRANULES, -1, -1)


def test_a_guard_is_not_in_a_child_whose_memory_is_wiped() -> None:
    guard, look = Operation("guard_install"), Operation("load", actor=1)
    kept = ran(mapped(ANON), guard, Operation("fork"), look)
    assert kept.steps[-1].how is Want.FAULT
    wiped = ran(mapped(ANON), Operation("wipeonfork"), guard, Operation("fork"), look)
    assert (wiped.steps[-1].how, wiped.steps[-1].want) == (Want.EXACT, 0)


def test_guards_are_refused_by_kernels_that_do_not_know_them() -> None:
    world = ran(mapped(ANON), Operation("guard_install"), ground=Ground((6, 12), ""))
    assert world.steps[-1].want == -22
    world = ran(mapped(MEMFD), Operation("guard_install"), ground=Ground((6, 14), ""))
    assert world.steps[-1].want == -22


@pytest.mark.parametrize(
    ("mode", "want"), [("off", -14), ("none", 16), ("sync", -14), ("async", 16)]
)
def test_a_system_call_with_a_mismatched_pointer(mode: str, want: int) -> None:
    modes = {"none": 0, "sync": 1, "async": 2}
    setting = [Operation("mode", value=modes[mode])] if mode in modes else []
    world = ran(mapped(ANON), *setting, Operation("read", value=0))
    assert (world.steps[-1].code, world.steps[-1].want) == (Code.READ, want)


@pytest.mark.parametrize(("mode", "want"), [(1, -9), (2, -8)])
def test_a_mismatched_store_of_a_thread(mode: int, want: int) -> None:
    world = ran(mapped(ANON), Operation("mode", value=mode), Operation("store", value=0))
    assert (world.steps[-1].code, world.steps[-1].want) == (Code.STORE, want)
    changed = pages(world)[0].data[0] == 0
    assert changed == (mode == 2)


def test_what_may_not_be_written() -> None:
    world = ran(mapped(ANON), Operation("protect", value=READ_ONLY), Operation("store"))
    assert world.actors[0].space.regions[1].spots[0].prot == PROT_READ
    assert world.steps[-1].want == -2  # SEGV_ACCERR


@pytest.mark.parametrize("pages_", [1, 2, 5, 512])
def test_every_number_names_pages_that_are_there(pages_: int) -> None:
    for number in range(200):
        span = choose_span(pages_, number)
        assert len(span)
        assert 0 <= span.start < span.stop <= pages_


def test_there_are_operations_enough() -> None:
    assert len(TABLE) >= 40


def test_operations_treat_parts_and_have_any_actor() -> None:
    """Else nearly all would treat a whole region of the first process, and few would meet."""
    found = [one for sequence in random_sequences(7, 100) for one in sequence[1:]]
    whole = sum(one.span == 0 for one in found) / len(found)
    halves = sum(one.span in {FIRST_HALF, SECOND_HALF} for one in found) / len(found)
    assert whole < 0.25 < halves < 0.5
    assert 0.03 < sum(one.actor == 3 for one in found) / len(found) < 0.25


@pytest.mark.parametrize(("kind", "tag"), [("uffd_copy", 0), ("uffd_zero", 0)])
def test_what_a_userfaultfd_puts_in_has_no_tags(kind: str, tag: int) -> None:
    world = ran(mapped(ANON), Operation(kind, span=FIRST_HALF, value=7))
    first, last = pages(world)[0], pages(world)[-1]
    assert set(first.tags) == {tag}
    assert set(first.data) == {7 if kind == "uffd_copy" else 0}
    assert set(last.tags) != {0}


def test_a_userfaultfd_moves_tags_and_data() -> None:
    world = ran(mapped(ANON))
    before = pages(world)
    apply(world, Operation("uffd_move"))
    assert pages(world) == [ZERO, ZERO, *before[:2]]
    apply(world, Operation("protect", span=FIRST_HALF, value=READ_ONLY))
    steps = len(world.steps)
    apply(world, Operation("uffd_move"))  # mappings that differ: the kernel refuses that
    assert len(world.steps) == steps


@pytest.mark.parametrize(
    ("ground", "kind"),
    [
        (Ground((6, 6), ""), "uffd_move"),
        (Ground((7, 3), "", userfaultfd=False), "uffd_copy"),
        (Ground((7, 3), ""), "swap_shape"),
    ],
)
def test_what_the_kernel_lacks_is_not_asked_for(ground: Ground, kind: str) -> None:
    world = ran(mapped(ANON), ground=ground)
    steps = len(world.steps)
    apply(world, Operation(kind))
    assert len(world.steps) == steps


def test_a_page_of_the_pool_is_treated_whole_and_its_tags_are_not() -> None:
    world = ran(mapped(HUGETLB), Operation("dontneed", span=FIRST_HALF))
    assert world.steps[-1].args[1] == 512 * 4096
    assert set(pages(world)) == {ZERO}
    apply(world, Operation("stg", span=FIRST_HALF, value=3 * 6))
    assert [page.tags[0] for page in pages(world)][255:257] == [6, 0]
    steps = len(world.steps)
    apply(world, Operation("pageout"))
    assert len(world.steps) == steps
    assert not ran(mapped(HUGETLB), ground=Ground((6, 12), "", hugetlb=False)).steps


def test_a_setting_may_come_before_any_memory() -> None:
    world = ran(Operation("folios"), Operation("swap_shape"), mapped(ANON))
    assert [step.code for step in world.steps[:2]] == [Code.FILE, Code.SHELL]
    begins = {sequence[0].kind for sequence in random_sequences(1, 60)}
    assert begins == {"map", "folios", "swap_shape", "thp_enabled"}


def test_a_region_of_folios_asks_for_them() -> None:
    world = ran(mapped(FOLIOS))
    assert [step.name for step in world.steps[:2]] == ["mmap", "madvise"]
    assert len(pages(world)) == 48
