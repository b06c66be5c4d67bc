# SPDX-License-Identifier: MIT
"""Which guests can be audited, what is learned of them once, and findings as records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cattrs.preconf.json
import pytest

from harness.core.errors import AuditError, UsageError
from harness.core.progress import Silent
from harness.guest.facts import Facts
from harness.verdict import audit as module
from harness.verdict.audit import KernelFacts, audit, learn
from harness.verdict.auditable import unauditable
from harness.verdict.finding import Finding, FindingKind
from harness.vm.dram import Dram
from harness.vm.spec import find_machine
from tests.support.scripted_guest import Answer, ScriptedGuest, fake_machine, template_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def dram(tmp_path: Path) -> Iterator[Dram]:
    spec = find_machine("dram")
    with Dram.create(spec.memory, spec.tags, tmp_path, Silent()) as made:
        yield made


def guest(dram: Dram, directory: Path, config: str = "CONFIG_CRASH_DUMP=y") -> ScriptedGuest:
    template = template_on(fake_machine("dram"), directory, config)
    return ScriptedGuest(template, {"vmcoreinfo": [Answer("")]}, dram=dram)


def test_a_fact_is_learned_once() -> None:
    facts, learned = Facts(), []

    def find() -> str:
        learned.append(1)
        return "a fact"

    assert [facts.once(str, find), facts.once(str, find)] == ["a fact", "a fact"]
    assert facts.once(int, lambda: 7) == 7
    assert len(learned) == 1


def test_a_failure_to_learn_is_not_remembered() -> None:
    facts = Facts()
    with pytest.raises(ZeroDivisionError):
        facts.once(int, lambda: 1 // 0)
    assert facts.once(int, lambda: 7) == 7


def test_clones_of_a_template_learn_once(
    dram: Dram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[object] = []

    def fake(guest: object) -> KernelFacts:
        learned.append(guest)
        return KernelFacts("0x1 1", {})

    monkeypatch.setattr(module, "_learn", fake)
    with guest(dram, tmp_path) as one:
        two = ScriptedGuest(one.template, dram=dram)
        assert learn(one) is learn(two)
        assert learned == [one]
        two.process.close()


def test_a_kernel_without_vmcoreinfo(dram: Dram, tmp_path: Path) -> None:
    with (
        guest(dram, tmp_path) as running,
        pytest.raises(AuditError, match="no /sys/kernel/vmcoreinfo"),
    ):
        audit(running)


def test_a_kernel_built_without_crash_dump(dram: Dram, tmp_path: Path) -> None:
    with guest(dram, tmp_path, "# CONFIG_CRASH_DUMP is not set") as running:
        assert unauditable(running.template) == "the kernel has no CONFIG_CRASH_DUMP"
        with pytest.raises(AuditError, match="CONFIG_CRASH_DUMP"):
            audit(running)
        assert running.lines == [], "nothing was run in the guest"


def test_tags_outside_dram(tmp_path: Path) -> None:
    with ScriptedGuest(template_on(fake_machine(), tmp_path)) as running:
        assert unauditable(running.template) == "tags are not in DRAM"
        with pytest.raises(UsageError, match="cannot see tags"):
            audit(running)


def test_a_finding_survives_json() -> None:
    finding = Finding(FindingKind.TAGS_WRONG, (0x40005, 0x40006), ("frame 0x40005",))
    converter = cattrs.preconf.json.make_converter()
    text = converter.dumps(finding)
    assert json.loads(text)["frames"] == [0x40005, 0x40006]
    assert converter.loads(text, Finding) == finding
    assert finding.lines()[0] == "2 pages: its tags are not those that the program set"
