# SPDX-License-Identifier: MIT
from __future__ import annotations

import dataclasses
import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.errors import ArtifactError, UsageError
from harness.core.paths import resources
from harness.jobs import record_commands
from harness.measure import measuring, record_sums, records
from harness.measure.records import KINDS, RECORDS, Host, Inputs, Record, Value
from tests.unit.report_sample import sample_report

if TYPE_CHECKING:
    from pathlib import Path

HOST = Host("Xeon", 2, 24105, "Debian GNU/Linux 12 (bookworm)", "6.18.44", 0.5)
INPUTS = Inputs({"guest/lib": "aa", "harness/vm": "bb"}, {"stock": "k1"}, "dram", "10.0.2")
RECORD = Record(
    kind="pressure",
    subject="stock",
    date="2026-11-30T03:12:05Z",
    host=HOST,
    commit="983d87eb27050ef47e206894a4a88d538eb6f386",
    dirty=False,
    command="mte-harness pressure stock",
    inputs=INPUTS,
    seconds=61.5,
    seeds=(1, 2),
    counts={"wrong": 0, "programs": 2},
    values={"pages": Value(10, "pages", 2, 8, 12)},
    notes=("beside a kernel build",),
)


def record(day: int = 1, **changes: Any) -> Record:
    """RECORD of another day; seeds differ by day unless they are given."""
    changed = {"date": f"2026-12-{day:02}T00:00:00Z", "seeds": (10 * day,), **changes}
    return dataclasses.replace(RECORD, **changed)


def git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(root: Path, **files: str) -> str:
    """Commit files, whose names have "__" for a slash; return the commit."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "test")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "-q")
    commit(root, harness__vm__qemu="1", guest__probes__swap__pressure="1", README="1")
    return root


class TestFile:
    def test_load_gives_what_was_saved(self, tmp_path: Path) -> None:
        path = records.save(RECORD, tmp_path)
        assert path == tmp_path / RECORDS / "20261130-0312-pressure-stock-983d87e.json"
        assert records.load(path) == RECORD

    def test_a_second_record_of_that_minute_gets_another_name(self, tmp_path: Path) -> None:
        first = records.save(RECORD, tmp_path)
        second = records.save(dataclasses.replace(RECORD, seconds=1.0), tmp_path)
        assert second.name == "20261130-0312-pressure-stock-983d87e-2.json"
        assert records.load(first) == RECORD

    def test_the_subject_cannot_leave_the_directory(self, tmp_path: Path) -> None:
        path = records.save(record(subject="../../known-bad/x y"), tmp_path)
        assert path.parent == tmp_path / RECORDS
        assert path.name == "20261201-0000-pressure-..-..-known-bad-x-y-983d87e.json"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"schema": 2}, "not a record of schema 1: its schema is 2"),
            ({"kind": "weather"}, "unknown kind 'weather'"),
            ({"date": "yesterday"}, "'yesterday' does not match"),
            ({"counts": {"wrong": "0"}}, "expected int @ $.counts['wrong']"),
            ({"counts": {"wrong": True}}, "expected int @ $.counts['wrong']"),
            ({"seconds": None}, "expected float @ $.seconds"),
            ({"seeds": 3}, "expected tuple @ $.seeds"),
            ({"host": {}}, "required field missing @ $.host.cpu"),
            ({"weight": 1}, "extra fields found (weight)"),
            (
                {"values": {"t": {"value": 1, "unit": "s", "n": 0, "low": 1, "high": 1}}},
                "a value of no sample",
            ),
        ],
    )
    def test_a_damaged_field_is_named(
        self, tmp_path: Path, change: dict[str, Any], message: str
    ) -> None:
        path = records.save(RECORD, tmp_path)
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        with pytest.raises(ArtifactError) as caught:
            records.load(path)
        assert str(path) in str(caught.value)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"<<<<<<< HEAD\n{}"])
    def test_what_is_no_record_is_one_line_with_the_path(self, tmp_path: Path, text: bytes) -> None:
        path = tmp_path / "a.json"
        path.write_bytes(text)
        with pytest.raises(ArtifactError) as caught:
            records.load(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_all_records_are_loaded_the_oldest_first(self, tmp_path: Path) -> None:
        for day in (3, 1, 2):
            records.save(record(day), tmp_path)
        assert [found.seeds for found in records.load_all(tmp_path).values()] == [
            (10,), (20,), (30,),
        ]  # fmt: skip


class TestNewRecord:
    def test_it_notes_the_commit_the_host_and_the_inputs(self, checkout: Path) -> None:
        start = measuring.begin(checkout)
        made = measuring.new_record(
            "pressure", "stock", start=start, root=checkout, command="x", kernels={"stock": "k"}
        )
        objects = made.inputs.objects
        assert made.commit == git(checkout, "rev-parse", "HEAD")
        assert not made.dirty
        assert objects["harness/vm"] == git(checkout, "rev-parse", "HEAD:harness/vm")
        assert objects["guest/lib"] is None
        assert objects["kernel-configs/stock"] is None
        assert made.inputs.kernels == {"stock": "k"}
        assert made.host.cpus >= 1
        assert made.host.memory_mib > 100

    def test_a_pattern_follows_content_and_names_of_what_it_matches(self, checkout: Path) -> None:
        pattern = "guest/probes/*/pressure*"

        def identity() -> str | None:
            return measuring.object_ids(checkout, "HEAD", [pattern])[pattern]

        first = identity()
        commit(checkout, README="2", guest__probes__swap__other="2")
        assert identity() == first
        commit(checkout, guest__probes__swap__pressure="2")
        second = identity()
        commit(checkout, guest__probes__swap__pressure_more="2")
        third = identity()
        git(checkout, "mv", "guest/probes/swap/pressure", "guest/probes/swap/pressure_2")
        commit(checkout)
        assert len({first, second, third, identity()}) == 4
        assert measuring.object_ids(checkout, "HEAD", ["guest/*/none*"]) == {"guest/*/none*": None}

    @pytest.mark.parametrize("when", ["before", "meanwhile"])
    @pytest.mark.parametrize("what", ["README", "guest/new"])
    def test_a_changed_tree_is_dirty(self, checkout: Path, when: str, what: str) -> None:
        if when == "before":
            (checkout / what).write_text("changed")
        start = measuring.begin(checkout)
        (checkout / what).write_text("changed")
        made = measuring.new_record("suite", "", start=start, root=checkout, command="x")
        assert made.dirty

    def test_another_commit_meanwhile_is_dirty(self, checkout: Path) -> None:
        start = measuring.begin(checkout)
        commit(checkout, README="2")
        assert measuring.new_record("suite", "", start=start, root=checkout, command="x").dirty

    def test_records_and_figures_do_not_make_a_tree_dirty(self, checkout: Path) -> None:
        records.save(RECORD, checkout)
        (checkout / records.FIGURES).write_text("new")
        start = measuring.begin(checkout)
        assert not measuring.new_record("suite", "", start=start, root=checkout, command="x").dirty

    def test_outside_a_checkout_it_is_a_usage_error(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="rev-parse failed"):
            measuring.begin(tmp_path)

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_path_of_a_kind_is_in_the_repository(self, kind: str) -> None:
        patterns = [pattern.format(recipe="stock") for pattern in KINDS[kind]]
        found = measuring.object_ids(resources(), "HEAD", patterns)
        assert [pattern for pattern in patterns if found[pattern] is None] == []


class TestAddUp:
    def test_counts_add_and_seeds_are_united(self) -> None:
        old = record(1, seeds=(1, 2), counts={"wrong": 1, "programs": 2})
        new = record(2, seeds=(3,), counts={"programs": 1})
        (total,), left_out = record_sums.add_up({"new": new, "old": old})
        assert list(total.pieces) == ["old", "new"]
        assert total.counts == {"wrong": 1, "programs": 3}
        assert total.seeds == {1, 2, 3}
        assert left_out == {}

    def test_values_are_weighted_by_n_and_keep_the_extremes(self) -> None:
        old = record(1, values={"t": Value(10, "", 1, 9, 11)})
        new = record(2, values={"t": Value(20, "", 3, 12, 30), "u": Value(1, "", 1, 1, 1)})
        (total,), _ = record_sums.add_up({"old": old, "new": new})
        assert total.values == {"t": Value(17.5, "", 4, 9, 30), "u": Value(1, "", 1, 1, 1)}
        assert list(total.having("u").pieces) == ["new"]

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"objects": {"guest/lib": "cc", "harness/vm": "bb"}}, "guest/lib"),
            ({"objects": {"guest/lib": None, "harness/vm": "bb"}}, "guest/lib"),
            ({"objects": {"guest/lib": "aa"}}, "harness/vm"),
            ({"kernels": {"stock": "k2"}}, "kernels"),
            ({"machine": "emulator"}, "machine"),
            ({"qemu": "11.1.0"}, "qemu"),
        ],
    )
    def test_other_inputs_do_not_add_up(self, changes: dict[str, Any], named: str) -> None:
        old, new = record(1), record(2, inputs=dataclasses.replace(INPUTS, **changes))
        sums, left_out = record_sums.add_up({"old": old, "new": new})
        assert [list(total.pieces) for total in sums] == [["new"], ["old"]]
        assert left_out == {}
        assert record_sums.difference(new, old) == named

    @pytest.mark.parametrize("changes", [{"kind": "suite"}, {"subject": "tag-storage"}])
    def test_other_kinds_and_subjects_do_not_add_up(self, changes: dict[str, str]) -> None:
        sums, _ = record_sums.add_up({"old": record(1), "new": record(2, **changes)})
        assert len(sums) == 2

    @pytest.mark.parametrize(("unit", "expected"), [("pages", 1), ("s", 2), ("ms", 2)])
    def test_wall_times_of_another_class_of_host_do_not_add_up(
        self, unit: str, expected: int
    ) -> None:
        values = {"t": Value(1, unit, 1, 1, 1)}
        old = record(1, values=values)
        new = record(2, values=values, host=dataclasses.replace(HOST, cpus=4))
        sums, _ = record_sums.add_up({"old": old, "new": new})
        assert len(sums) == expected
        assert expected == 1 or record_sums.difference(new, old) == "host"

    def test_wall_times_of_one_class_of_host_add_up(self) -> None:
        values = {"t": Value(1, "s", 1, 1, 1)}
        host = dataclasses.replace(HOST, load=7.0, kernel="6.19", memory_mib=24090)
        sums, _ = record_sums.add_up(
            {"old": record(1, values=values), "new": record(2, values=values, host=host)}
        )
        assert len(sums) == 1

    def test_a_dirty_record_is_left_out(self) -> None:
        sums, left_out = record_sums.add_up({"a": record(1), "b": record(2, dirty=True)})
        assert [list(total.pieces) for total in sums] == [["a"]]
        assert left_out == {"b": "the working tree was not the commit's"}

    def test_a_seed_counts_once_and_the_older_record_has_it(self) -> None:
        old = record(1, seeds=(1, 2, 3), counts={"wrong": 1})
        new = record(2, seeds=(3, 4), counts={"wrong": 5})
        (total,), left_out = record_sums.add_up({"new": new, "old": old})
        assert total.counts == {"wrong": 1}
        assert left_out == {"new": "repeats seeds 3 of `old`"}

    def test_a_value_in_another_unit_is_left_out(self) -> None:
        old = record(1, values={"t": Value(1, "s", 1, 1, 1)})
        new = record(2, values={"t": Value(1000, "ms", 1, 1000, 1000)})
        (total,), left_out = record_sums.add_up({"old": old, "new": new})
        assert list(total.pieces) == ["old"]
        assert left_out == {"new": "gives t in another unit than `old`"}

    def test_a_median_has_its_samples_extremes(self) -> None:
        assert measuring.value_of([3, 1, 2, 9], "s") == Value(2.5, "s", 4, 1, 9)


class TestReportRecord:
    def test_a_report_gives_counts_and_seconds(self, checkout: Path) -> None:
        later = (datetime.now(UTC) + timedelta(seconds=5)).isoformat(timespec="seconds")
        report = dataclasses.replace(sample_report(), started=later)
        made = record_commands.report_record(report, checkout, "suite", "")
        assert made.subject == "stock, no-swap-restore"
        assert not made.dirty
        outcomes = {name: n for name, n in made.counts.items() if name.startswith("tests: ")}
        assert sum(outcomes.values()) == len(report.tests)
        assert outcomes["tests: lost"] == 1
        assert made.values["all tests"].value == report.seconds

    def test_the_time_beside_the_programs(self, checkout: Path) -> None:
        test = sample_report().tests[0]
        ran = dataclasses.replace(test.result, phases={"clone": 1.0, "run": 20.0})
        tests = (dataclasses.replace(test, result=ran),) * 4
        report = dataclasses.replace(sample_report(), tests=tests, seconds=50.0)
        name = "a worker's time beside each program"
        for command, beside in (("pytest -n 2 x", 5.0), ("pytest x", -7.5)):
            changed = dataclasses.replace(report, command=command)
            made = record_commands.report_record(changed, checkout, "suite", "")
            assert made.values[name].value == beside

    def test_a_commit_that_is_newer_than_the_report_is_dirty(self, checkout: Path) -> None:
        report = dataclasses.replace(sample_report(), started="2026-01-01T00:00:00+00:00")
        assert record_commands.report_record(report, checkout, "suite", "").dirty
