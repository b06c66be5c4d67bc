# SPDX-License-Identifier: MIT
"""From a deviation to a short sequence and a C program, without a guest."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, cast

import pytest
from click.testing import CliRunner

from harness.core.errors import ArtifactError
from harness.core.ktap import KtapResult, Outcome
from harness.explore import hit as hits
from harness.explore import known
from harness.explore.by_chance import random_sequences
from harness.explore.c_program import COMPILE, print_program
from harness.explore.deviation import Deviation, deviation_of
from harness.explore.generate import steps_of
from harness.explore.operations import TABLE, Operation
from harness.explore.shrink import Shrinker
from harness.jobs.explore import explore_command
from tests.unit.test_explore_model import ANON, GROUND, HUGE, HUGETLB, SECOND_HALF, mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.explore.operations import Sequence_
    from harness.explore.trial import Trials

CORPUS = hits.CORPUS
NOISE = [Operation("cold"), Operation("fork", value=8), Operation("check"), Operation("sleep")]


class Simulated:
    """Trials of a guest that deviates where ``shows`` says so, in one of ``every`` runs."""

    def __init__(self, shows: Callable[[Sequence_], bool], every: int = 1) -> None:
        self._shows, self._every = shows, every
        self.runs = self.batches = 0

    def run(self, batch: Sequence[Sequence_]) -> list[Deviation | None]:
        """Run a batch."""
        self.batches += 1
        found: list[Deviation | None] = []
        for sequence in batch:
            self.runs += 1
            hit = self._shows(sequence) and self.runs % self._every == 0
            found.append(Deviation("data", "x", 1) if hit else None)
        return found


def shrunk(trials: Simulated, chance: float, sequence: Sequence_) -> Sequence_:
    """Return what a Shrinker makes of a sequence."""
    return Shrinker(cast("Trials", trials), "data", chance, lambda _: None).shrink(sequence)


@pytest.mark.parametrize("every", [1, 4])
def test_a_long_sequence_becomes_what_matters(every: int) -> None:
    needed = [Operation("map", value=9000), Operation("stg", span=3, value=77), Operation("split")]
    sequence = (*NOISE * 8, needed[0], *NOISE * 5, needed[1], *NOISE * 9, needed[2], *NOISE)

    def shows(one: Sequence_) -> bool:
        kinds = [operation.kind for operation in one if operation.kind in {"map", "stg", "split"}]
        return kinds == ["map", "stg", "split"] and any(
            operation.kind == "stg" and operation.value >= 5 for operation in one
        )

    short = shrunk(Simulated(shows, every), 1 / every, sequence)
    assert short == (Operation("map"), Operation("stg", value=short[1].value), Operation("split"))
    assert 5 <= short[1].value < 77


def test_one_that_shows_once_is_left_as_it_is() -> None:
    sequence = tuple(NOISE * 3)
    assert shrunk(Simulated(lambda one: one == sequence), 1.0, sequence) == sequence


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("tag at 0x20: expected 3, saw 0", "tag lost"),
        ("tag at 0x20: expected 3, saw 4", "tag wrong"),
        ("tag at 0x20: expected 0, saw 4", "tag appeared"),
        ("data at 0x20: expected 05 in each byte, saw 00 00", "data"),
        ("did not end in 20 s", "hang"),
        ("died of signal 9", "died of signal 9"),
        ("expected 0, saw -22", "protect: mprotect gives -22 for 0"),
        ("signal 7, si_code 2, address 0x20", "protect: signal 7"),
    ],
)
def test_fingerprints(line: str, kind: str) -> None:
    sequence = (mapped(HUGE), Operation("protect", span=SECOND_HALF))
    steps = steps_of(sequence, GROUND)
    number = next(n for n, step in enumerate(steps) if step.name == "mprotect")
    case = KtapResult(1, "s1", Outcome.FAIL, diagnostics=(f"step {number}: {line}",))
    found = deviation_of(case, steps, sequence)
    assert found
    assert (found.kind, found.operation, found.step) == (kind, 1, number)
    assert deviation_of(KtapResult(1, "s1", Outcome.PASS), steps, sequence) is None


def test_a_finding_is_recognised() -> None:
    table = known.load()
    saved = hits.read(CORPUS / "thp-partial-tag.json")
    lost = Deviation("tag lost", "")
    assert known.explain(lost, saved.sequence, table) == "thp-partial-tag"
    assert not known.explain(Deviation("data", ""), saved.sequence, table)
    assert not known.explain(lost, (mapped(HUGE), Operation("fork")), table)


def test_a_finding_is_avoided() -> None:
    saved = hits.read(CORPUS / "thp-partial-tag.json")
    (one,) = known.load()
    assert one.avoid <= set(TABLE)
    ((left,),) = known.without([[saved.sequence]], [one])
    assert left
    assert not one.explains("tag lost", left)
    assert list(known.without([[saved.sequence]], [])) == [[saved.sequence]]


def test_a_finding_that_is_not_known_is_told() -> None:
    done = CliRunner().invoke(explore_command, ["stock", "--avoid", "thp"])
    assert "'thp' is not one of thp-partial-tag" in done.output
    assert done.exit_code


def test_printed_programs_compile_without_a_warning(tmp_path: Path) -> None:
    source = tmp_path / "hit.c"
    rare = [Operation(kind) for kind in TABLE if kind.startswith(("uffd_", "swap_"))]
    sequences = [*random_sequences(11, 12), (mapped(HUGETLB), mapped(ANON), *rare)]
    for number, sequence in enumerate(sequences):
        steps = steps_of(sequence[:40], GROUND)
        source.write_text(print_program(steps, Deviation("data", "x"), f"sequence {number}"))
        words = [*COMPILE.split(), "-Wall", "-Werror", "-o", str(tmp_path / "hit"), str(source)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_program_of_the_known_finding_is_short() -> None:
    saved = hits.read(CORPUS / "thp-partial-tag.json")
    steps = steps_of(saved.sequence, GROUND)
    seen = Deviation("tag lost", saved.text)
    text = print_program(steps, seen, "about", always=True)
    assert text.count("\n") + 5 <= 60  # of issue 23; write_hit() says five lines more
    assert "check(0x2000100000, 256, 1, 0);" in text
    # One that deviates at times may deviate elsewhere the next time.
    assert "stairs(0x2000000000" in print_program(steps, seen, "about")


def test_a_sequence_is_kept_as_it_is(tmp_path: Path) -> None:
    (sequence,) = random_sequences(3, 1)
    saved = hits.Saved(sequence, "disk", "data", "text", "7.3.4")
    hits.write(saved, tmp_path / "a.json")
    assert hits.read(tmp_path / "a.json") == saved


GOOD = {"schema": hits.SCHEMA, "swap": "zram", "kind": "", "text": "", "kernel": ""}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "Expecting value"),
        ("[]", "list indices"),
        ({**GOOD, "schema": 1, "sequence": []}, "schema is 1"),
        ({**GOOD, "sequence": []}, "no operation"),
        ({**GOOD, "sequence": [{"kind": "stir"}]}, "no operation 'stir'"),
        ({**GOOD, "sequence": [{"kind": "stg", "value": -1}]}, "below 0"),
        ({**GOOD, "sequence": [{"kind": "stg", "colour": 1}]}, "colour"),
        ({**GOOD, "sequence": [{"kind": "stg"}], "swap": "tape"}, "swap is one of"),
        ({"schema": hits.SCHEMA}, "'sequence'"),
    ],
)
def test_a_file_that_is_no_sequence(data: object, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    with pytest.raises(ArtifactError, match=why):
        hits.read(path)
