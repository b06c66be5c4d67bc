# SPDX-License-Identifier: MIT
"""The virtual environment: made once, whole or not at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.errors import DiskFullError, HarnessError, NetworkError, SetupError
from harness.core.progress import Silent
from harness.host import venv
from harness.host.child import Finished

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class FakePip:
    """Stands in for `run`: makes what ``python -m venv`` makes, and ends as a test asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ran: list[list[str]] = []
        self.answers: dict[str, Finished | BaseException] = {}

    def __call__(self, argv: Sequence[str], _env: Any = None) -> Finished:
        self.ran.append(list(argv))
        if "venv" in argv:
            (self.root / ".venv/bin").mkdir(parents=True)
        for word, answer in self.answers.items():
            if word in argv:
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        return Finished(0, "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a clone."""
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "requirements.lock").write_text("click==8 --hash=sha256:0\n")
    (clone / "pyproject.toml").write_text("[project]\n")
    return clone


@pytest.fixture
def pip(root: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    """Replace pip by a fake."""
    fake = FakePip(root)
    monkeypatch.setattr(venv, "run", fake)
    return fake


def ensure(root: Path) -> None:
    venv.ensure(root, Silent())


def fails_with(kind: type[HarnessError], root: Path) -> HarnessError:
    with pytest.raises(kind) as caught:
        ensure(root)
    return caught.value


def test_made_from_the_lock_with_hashes_and_then_the_project(root: Path, pip: FakePip) -> None:
    ensure(root)
    made, lock, project = pip.ran
    assert made[1:] == ["-m", "venv", str(root / ".venv")]
    assert lock[0] == str(root / ".venv/bin/python")
    assert "--require-hashes" in lock
    assert lock[-1] == str(root / "requirements.lock")
    assert {"--no-deps", "--no-build-isolation", "--no-index"} <= set(project)
    assert project[-2:] == ["--editable", str(root)]
    assert venv.is_current(root)


def test_second_run_does_nothing(root: Path, pip: FakePip) -> None:
    ensure(root)
    ensure(root)
    assert len(pip.ran) == 3


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_made_anew_when_its_sources_change(root: Path, pip: FakePip, name: str) -> None:
    ensure(root)
    (root / ".venv/left-over").touch()
    with (root / name).open("a") as file:
        file.write("# changed\n")
    assert not venv.is_current(root)
    ensure(root)
    assert len(pip.ran) == 6
    assert not (root / ".venv/left-over").exists()
    assert not (root / ".venv.old").exists()


def test_not_current_where_it_was_moved_to(root: Path, pip: FakePip, tmp_path: Path) -> None:
    ensure(root)
    root.rename(tmp_path / "moved")
    assert not venv.is_current(tmp_path / "moved")


def test_without_a_stamp_it_is_not_trusted(root: Path, pip: FakePip) -> None:
    (root / ".venv/bin").mkdir(parents=True)
    ensure(root)
    assert len(pip.ran) == 3


def test_failure_leaves_nothing(root: Path, pip: FakePip) -> None:
    pip.answers["--requirement"] = Finished(1, "words\nERROR: THESE PACKAGES DO NOT MATCH\n")
    error = fails_with(SetupError, root)
    assert "DO NOT MATCH" in error.cause
    assert "words" in error.details
    assert [path.name for path in root.iterdir() if path.name.startswith(".venv")] == []


@pytest.mark.parametrize(
    "answer", [Finished(1, "ERROR: x\n"), KeyboardInterrupt(), SystemExit(143)]
)
def test_failure_gives_the_old_one_back(
    root: Path, pip: FakePip, answer: Finished | BaseException
) -> None:
    ensure(root)
    before = (root / ".venv" / venv.STAMP).read_text()
    (root / "requirements.lock").write_text("click==9 --hash=sha256:1\n")
    pip.answers["--requirement"] = answer
    with pytest.raises((SetupError, KeyboardInterrupt, SystemExit)):
        ensure(root)
    assert (root / ".venv" / venv.STAMP).read_text() == before
    assert not (root / ".venv.old").exists()


def test_one_that_a_killed_run_had_put_aside_comes_back(root: Path, pip: FakePip) -> None:
    ensure(root)
    (root / ".venv").rename(root / ".venv.old")
    (root / ".venv/bin").mkdir(parents=True)  # half made
    pip.answers["--requirement"] = Finished(1, "ERROR: x\n")
    fails_with(SetupError, root)
    assert venv.is_current(root)


def test_no_network(root: Path, pip: FakePip) -> None:
    pip.answers["--requirement"] = Finished(
        1,
        "WARNING: Retrying after connection broken by 'NewConnectionError('...')'\n"
        "ERROR: Could not find a version that satisfies the requirement click==8\n",
    )
    error = fails_with(NetworkError, root)
    assert error.status == 162
    assert "click==8" in str(error)


def test_disk_full(root: Path, pip: FakePip) -> None:
    pip.answers["--requirement"] = Finished(1, "ERROR: [Errno 28] No space left on device\n")
    assert fails_with(DiskFullError, root).status == 169


def test_two_runs_at_once_make_it_once(
    root: Path, pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    entered: list[str] = []

    def slow(argv: Sequence[str], env: Any = None) -> Finished:
        entered.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(20)
        return pip(argv)

    monkeypatch.setattr(venv, "run", slow)
    runs = [threading.Thread(target=ensure, args=[root]) for _ in range(2)]
    runs[0].start()
    assert begun.wait(20)
    runs[1].start()
    runs[1].join(0.5)  # all the time it needs to come in, were there no lock
    assert entered == [runs[0].name]
    go_on.set()
    for run in runs:
        run.join(20)
    assert len(pip.ran) == 3
    assert venv.is_current(root)
