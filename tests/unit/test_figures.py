# SPDX-License-Identifier: MIT
from __future__ import annotations

import dataclasses
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from harness.core.errors import ArtifactError, HarnessError
from harness.core.paths import resources
from harness.jobs import figures, record_commands
from harness.measure import code_figures, records
from harness.measure.records import KINDS, Host, Inputs, Record, Value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = Host("Xeon", 2, 24105, "Debian", "6.18.44", 0.5)


def record(day: int, **changes: Any) -> Record:
    made = Record(
        kind="pressure",
        subject="tag-storage",
        date=f"2026-12-{day:02}T00:00:00Z",
        host=HOST,
        commit=f"{day:07}" + 33 * "0",
        dirty=False,
        command="mte-harness pressure tag-storage",
        inputs=Inputs({"guest/lib": "aa"}),
        seconds=60.0,
        seeds=(day,),
        counts={"wrong": 0},
    )
    return dataclasses.replace(made, **changes)


def row(page: str, what: str) -> list[str]:
    """Return the cells of the one row that is about ``what``."""
    lines = [line for line in page.splitlines() if line.startswith(f"| {what} |")]
    assert len(lines) == 1
    return [cell.strip() for cell in lines[0].strip("|").split(" | ")]


class TestPage:
    def test_the_page_of_this_repository_is_what_its_records_give(self) -> None:
        assert figures.check_figures(resources()), "run `mte-harness figures`"

    def test_an_altered_figure_is_found(self, tmp_path: Path) -> None:
        records.save(record(1), tmp_path)
        path = figures.write_figures(tmp_path)
        assert figures.check_figures(tmp_path)
        text = path.read_text()
        path.write_text(text.replace("| 1 seed |", "| 30 seeds |"))
        assert path.read_text() != text
        assert not figures.check_figures(tmp_path)
        path.unlink()
        assert not figures.check_figures(tmp_path)

    def test_the_same_records_give_the_same_bytes(self) -> None:
        found = {f"r{day}": record(day, subject=f"s{day % 9}") for day in range(1, 20)}
        names = list(found)
        random.Random(1).shuffle(names)
        page = figures.render(found)
        assert figures.render({name: found[name] for name in names}) == page
        places = [page.index(f"s{number}: wrong") for number in range(9)]
        assert places == sorted(places)

    def test_pieces_are_added_up_in_one_row(self) -> None:
        page = figures.render({"a": record(1), "b": record(2, counts={"wrong": 2})})
        assert row(page, "tag-storage: wrong") == [
            "tag-storage: wrong", "0 in 30 seeds (README of 983d87e)", "2", "2 seeds",
            "2026-12-02", "2 x Xeon, 24 GiB, Debian", "0000001, 0000002", "",
        ]  # fmt: skip
        assert "* From `a`, `b`." in page

    def test_the_newest_set_wins_and_older_ones_fill_what_it_lacks(self) -> None:
        old = record(1, counts={"wrong": 3, "programs": 7})
        new = record(2, inputs=Inputs({"guest/lib": "bb"}))
        page = figures.render({"old": old, "new": new})
        assert row(page, "tag-storage: wrong")[2:] == [
            "0", "1 seed", "2026-12-02", "2 x Xeon, 24 GiB, Debian", "0000002",
            "3, n = 1 seed (0000001)",
        ]  # fmt: skip
        assert row(page, "tag-storage: programs")[2:5] == ["7", "1 seed", "2026-12-01"]
        assert "* Not added: `old` (guest/lib)." in page

    def test_a_row_counts_only_the_pieces_that_have_it(self) -> None:
        other = record(2, counts={}, values={"pause": Value(0.05, "s", 3, 0.0456, 0.06)})
        page = figures.render({"a": record(1), "b": dataclasses.replace(other, host=HOST)})
        assert row(page, "tag-storage: wrong")[3:5] == ["1 seed", "2026-12-01"]
        assert row(page, "tag-storage: pause")[2:4] == ["0.05 s (0.0456 to 0.06)", "3"]

    def test_left_out_records_are_named_with_the_reason(self) -> None:
        page = figures.render(
            {"a": record(1), "b": record(2, dirty=True), "c": record(3, seeds=(1,))}
        )
        assert "* Left out: `b` (the working tree was not the commit's)." in page
        assert "* Left out: `c` (repeats seeds 1 of `a`)." in page
        assert row(page, "tag-storage: wrong")[3] == "1 seed"

    def test_a_kind_without_aim_names_a_dirty_record(self) -> None:
        page = figures.render({"a": record(1, kind="series-check", dirty=True)})
        assert "## Series check" in page
        assert "* Left out: `a`" in page

    def test_notes_are_shown_with_their_record(self) -> None:
        page = figures.render({"a": record(1, notes=("beside a build",))})
        assert "* `a`: beside a build" in page

    def test_an_aim_that_nothing_measured_is_shown(self) -> None:
        assert row(figures.render({}), "tag-storage: wrong")[2] == "not measured"

    def test_a_bar_in_a_name_does_not_break_the_table(self) -> None:
        page = figures.render({"a": record(1, counts={"x|y": 1})})
        assert "| tag-storage: x\\|y |" in page

    def test_each_aim_is_of_a_kind_and_said_once(self) -> None:
        named = [(aim.kind, aim.subject, aim.name) for aim in figures.AIMS]
        assert {kind for kind, _, _ in named} <= KINDS.keys()
        assert len(set(named)) == len(named)


class TestImportCycles:
    @pytest.fixture
    def package(self, tmp_path: Path) -> Callable[..., Path]:
        def make(**files: str) -> Path:
            root = tmp_path / "house"
            for name, text in files.items():
                path = root / (name.replace("__", "/") + ".py")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return root

        return make

    def test_one_direction_is_no_cycle(self, package: Callable[..., Path]) -> None:
        root = package(
            cli="from house import b\nimport os\n",
            b__x="import house.a.y\nimport house.b.z\n",
            b__z="from house.b import x\n",
            a__y="",
        )
        assert code_figures.import_cycles(root) == set()

    @pytest.mark.parametrize(
        "back",
        [
            "import house.b.x",
            "from house.b.x import name",
            "from house import b",
            "from ..b import x",
            "from .. import b",
            "def late():\n    from house.b import x",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.b import x",
        ],
    )
    def test_every_form_of_import_counts(self, package: Callable[..., Path], back: str) -> None:
        root = package(a__y=back, b__x="from house.a import y", cli="from house import a, b")
        assert code_figures.import_cycles(root) == {frozenset({"a", "b"})}

    def test_a_long_way_round_and_a_second_cycle(self, package: Callable[..., Path]) -> None:
        root = package(
            a__m="import house.b.m", b__m="import house.c.m", c__m="import house.a.m",
            d__m="import house.e\nimport house.a.m", e="import house.d.m",
        )  # fmt: skip
        assert code_figures.import_cycles(root) == {frozenset("abc"), frozenset("de")}


class TestCode:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        root = tmp_path / "checkout"
        for name, text in {
            "harness/a/x.py": "import harness.b.y\n\n",
            "harness/b/y.py": "import harness.a.x\n",
            "harness/b/tag.c": "int c;\n",
            "guest/probes/swap/p.c": "1\n2\n3\n",
            "guest/lib/probe.py": "1\n",
            "guest/init": "1\n",
            "tests/unit/test_x.py": "1\n2\n",
            "README.md": "three short words\n\nand more\n",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "test"]):
            subprocess.run(["git", *words], cwd=root, check=True)
        (root / "tests/unit/untracked.py").write_text("1\n")
        return root

    def measured(self, root: Path) -> dict[str, float]:
        made = code_figures.code_record(root, unit_seconds=48.5, files_passed=34, command="x")
        return {name: value.value for name, value in made.values.items()}

    def test_it_measures_what_git_tracks(
        self, checkout: Path, shim: Callable[[str, str], Path]
    ) -> None:
        shim(
            "duplicates", "echo '12 pairs of places (7 files read), each'; echo 'D1 a:1-7 ~ b:1-7'"
        )
        assert self.measured(checkout) == {
            "lines of harness, Python": 3,
            "lines of guest, C and Python": 4,
            "lines of tests, Python": 2,
            "import cycles between rooms": 1,
            "rooms in import cycles": 2,
            "files that a probe's result passes through": 34,
            "lines of README.md": 3,
            "words of README.md": 5,
            "unit tests": 48.5,
            "pairs of places that share six or more lines": 12,
        }

    @pytest.mark.parametrize(
        ("output", "pairs"),
        [
            ("no duplicates (7 files read)", 0),
            ("1 pair of places (7 files read), sharing a run", 1),
            ("incomplete: this machine has no python3", None),
            ("9 pairs of places (7 files read)\nincomplete: 3 files were not read", None),
            ("", None),
        ],
    )
    def test_duplicates_that_were_not_counted_to_the_end_are_left_out(
        self, checkout: Path, shim: Callable[[str, str], Path], output: str, pairs: int | None
    ) -> None:
        shim("duplicates", f"echo '{output}'")
        assert code_figures.duplicate_pairs(checkout) == pairs

    def test_without_the_command_the_value_is_left_out(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        assert "pairs of places that share six or more lines" not in self.measured(checkout)


class TestCommands:
    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(figures, "resources", lambda: tmp_path)
        monkeypatch.setattr(record_commands, "checkout", lambda _purpose: tmp_path)
        records.save(record(1), tmp_path)
        return tmp_path

    def test_figures_writes_and_check_only_looks(self, root: Path) -> None:
        run = CliRunner().invoke
        path = root / records.FIGURES
        failed = run(figures.figures_command, ["--check"])
        assert isinstance(failed.exception, ArtifactError)
        assert not path.exists()
        assert run(figures.figures_command, []).output == f"{path}\n"
        assert run(figures.figures_command, ["--check"]).exit_code == 0

    def test_record_code_leaves_a_record(self, root: Path) -> None:
        for name in ("harness/a.py", "README.md"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text("")
        for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "test"]):
            subprocess.run(["git", *words], cwd=root, check=True)
        words = ["code", "--unit-seconds", "1.5", "--files-passed", "9"]
        done = CliRunner().invoke(record_commands.record_group, words)
        made = [found for found in records.load_all(root).values() if found.kind != "pressure"]
        assert done.exit_code == 0
        assert [found.values["unit tests"] for found in made] == [Value(1.5, "s", 1, 1.5, 1.5)]
        assert not made[0].dirty

    @pytest.mark.parametrize("status", [0, 3])
    def test_record_fresh_leaves_a_record_of_a_command_that_passed(
        self, root: Path, status: int
    ) -> None:
        """What is run is in-debian --keep DIR 12 true, and then the command."""
        script = root / "scripts" / "in-debian"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\ntest "$4" = true || exit {status}\n')
        script.chmod(0o755)
        for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "test"]):
            subprocess.run(["git", *words], cwd=root, check=True)
        words = ["fresh", "12", "scripts/validate", "-k", "smoke"]
        done = CliRunner().invoke(record_commands.record_group, words)
        made = [found for found in records.load_all(root).values() if found.kind != "pressure"]
        if status:
            assert isinstance(done.exception, HarnessError)
            assert "12 scripts/validate -k smoke ended with 3" in str(done.exception)
            assert not made
        else:
            assert [list(found.values) for found in made] == [
                ["scripts/validate -k smoke, nothing cached"]
            ]
            assert made[0].subject == "Debian 12"
