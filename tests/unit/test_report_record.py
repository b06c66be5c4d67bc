# SPDX-License-Identifier: MIT
"""The record, its JSON, and how workers hand in their items."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.core import ktap
from harness.core.errors import ArtifactError
from harness.report import json_file, junit
from harness.report.model import Item, findings, item_from_json, run_from_json, to_json
from harness.verdict.judge import Evidence, Status, judge
from harness.verdict.splat import find_splats
from tests.unit.report_sample import good_run, sample_run

if TYPE_CHECKING:
    from pathlib import Path


def test_round_trip_through_json_text() -> None:
    run = sample_run()
    assert run_from_json(json.loads(json.dumps(to_json(run)))) == run


def test_item_round_trip_with_whole_numbers_as_seconds() -> None:
    item = replace(sample_run().items[0], seconds=2.0)
    data = json.loads(json.dumps(to_json(item)).replace('"seconds": 2.0', '"seconds": 2'))
    assert item_from_json(data) == item


def test_good_and_failures() -> None:
    run = sample_run()
    assert not run.good
    assert [item.status for item in run.failures] == ["lost", "splat", "fail", "fail", "error"]
    assert run.count(Status.FAIL, Status.ERROR) == 3
    assert good_run().good
    assert not replace(good_run(), items=()).good  # nothing was tried
    assert not replace(good_run(), errors=("no QEMU",)).good


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 99},
        {"schema": None},
        {"items": [{"id": 3}]},
        {"items": "none"},
        {"seconds": "long"},
        {"no_such_field": 1},
        {"kernels": [[]]},
    ],
)
def test_damaged_record(change: dict[str, object]) -> None:
    with pytest.raises(ArtifactError) as caught:
        run_from_json({**to_json(sample_run()), **change})
    assert caught.value.cure


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    json_file.write(sample_run(), path)
    assert json_file.read(path) == sample_run()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "{", "[]", "\ud800".encode("utf-8", "surrogatepass")])
def test_damaged_file(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ArtifactError, match=r"report\.json"):
        json_file.read(path)


def test_workers_hand_in_and_merge(tmp_path: Path) -> None:
    items = sample_run().items
    for number, item in enumerate(items):
        json_file.append_item(tmp_path, f"gw{number % 3}", item)
    merged = json_file.merge_items(tmp_path)
    assert sorted(merged, key=lambda item: item.id) == sorted(items, key=lambda item: item.id)
    # The same order whoever ran them.
    assert list(merged) == sorted(merged, key=lambda item: (item.id, item.kernel))


def test_merge_leaves_out_the_line_of_a_killed_worker(tmp_path: Path) -> None:
    one, two = sample_run().items[:2]
    json_file.append_item(tmp_path, "gw0", one)
    json_file.append_item(tmp_path, "gw0", two)
    path = tmp_path / "items-gw0.jsonl"
    path.write_text(path.read_text()[:-20])
    assert json_file.merge_items(tmp_path) == (one,)


def test_findings_of_a_verdict() -> None:
    splats = find_splats("[    1.000000] WARNING: CPU: 0 PID: 9 at mm/ksm.c:9 ksm+0x1/0x2\n")
    document = ktap.parse("KTAP version 1\n1..2\nok 1 a\n# saw 2\nnot ok 2 b\n")
    verdict = judge(Evidence(exit_status=1, document=document, splats=splats))
    item = Item(
        id="x", name="x", area="swap", kernel="stock", machine="emulator", seconds=1,
        **findings(verdict),
    )  # fmt: skip
    assert item.status == "splat"
    assert [(case.name, case.outcome, case.diagnostics) for case in item.cases] == [
        ("a", "pass", ()), ("b", "fail", ("saw 2",)),
    ]  # fmt: skip
    assert [(reason.status, reason.text) for reason in item.reasons] == [
        ("splat", f"{splats[0].title} [{splats[0].fingerprint}]"),
        ("fail", "b"),
    ]
    assert item.splats[0].lines == splats[0].lines
    assert item.splats[0].fingerprint == splats[0].fingerprint


def test_findings_take_decoded_splats() -> None:
    splats = find_splats("[    1.000000] BUG: x\n")
    verdict = judge(Evidence(exit_status=0, splats=splats))
    decoded = (replace(splats[0], lines=("BUG: x (mm/ksm.c:3)",)),)
    assert findings(verdict, decoded)["splats"][0].lines == ("BUG: x (mm/ksm.c:3)",)


def test_junit_properties() -> None:
    run = sample_run()
    suite = dict(junit.suite_properties(run))
    assert suite["qemu"] == run.qemu
    assert suite["machine.accelerator"] == "tcg"
    assert suite["kernel.stock.key"] == run.kernels[0].key
    item = run.failures[0]
    properties = dict(junit.item_properties(item, run))
    assert properties["kernel_key"] == run.kernels[1].key
    assert properties["splat"] == item.splats[0].fingerprint
    assert properties["repeat"] == item.repeat
