# SPDX-License-Identifier: MIT
"""A running guest as another process finds it, or finds that it is gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import GuestLostError, UsageError
from harness.core.limits import Limits
from harness.core.progress import Silent
from harness.guest.attach import FACTS, Attached, open_handle
from harness.vm.dram import Dram
from harness.vm.run_disk import RunKeys
from harness.vm.spec import find_machine
from tests.support.scripted_guest import FakeProcess, ScriptedGuest, fake_machine, template_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = Limits(attach=0.2)


@pytest.fixture
def dram(tmp_path: Path) -> Iterator[Dram]:
    spec = find_machine("dram")
    with Dram.create(spec.memory, spec.tags, tmp_path, Silent()) as made:
        yield made


def guest(directory: Path, dram: Dram | None = None) -> ScriptedGuest:
    machine = fake_machine("dram" if dram else "emulator")
    return ScriptedGuest(template_on(machine, directory), dram=dram)


@pytest.fixture
def guests(tmp_path: Path) -> Path:
    """Return the directory below which guests are found."""
    return tmp_path / "guests"


def test_a_handle_is_private_and_goes_with_the_block(tmp_path: Path, guests: Path) -> None:
    with guest(tmp_path) as running:
        with running.reachable(guests) as handle:
            assert handle.port == 40022
            assert handle.directory.stat().st_mode & 0o777 == 0o700
            assert (handle.directory / "key").stat().st_mode & 0o777 == 0o600
            command = handle.ssh_command()
            assert command[command.index("-p") + 1] == "40022"
            known = (handle.directory / "known_hosts").read_text()
            assert known.startswith("[127.0.0.1]:40022 ssh-ed25519 ")
        assert list(guests.iterdir()) == []


def test_handles_of_killed_runs_are_removed(tmp_path: Path, guests: Path) -> None:
    (guests / "4194305").mkdir(parents=True)  # above the largest pid_max of the kernel
    process, template = FakeProcess(), template_on(fake_machine(), tmp_path)
    with open_handle(guests, process, template, RunKeys.generate()) as handle:
        assert [path.name for path in guests.iterdir()] == [str(handle.pid)]
    process.close()


def test_no_such_guest_names_those_that_run(tmp_path: Path, guests: Path) -> None:
    with pytest.raises(UsageError, match=r"no guest 7 \(running: none"):
        Attached(guests, 7, LIMITS)
    with (
        guest(tmp_path) as running,
        running.reachable(guests) as handle,
        pytest.raises(UsageError, match=rf"no guest 7 \(running: {handle.pid};"),
    ):
        Attached(guests, 7, LIMITS)


def test_a_guest_whose_tags_are_not_in_dram(tmp_path: Path, guests: Path) -> None:
    with (
        guest(tmp_path) as running,
        running.reachable(guests) as handle,
        pytest.raises(UsageError, match="machine emulator the host cannot see tags"),
    ):
        Attached(guests, handle.pid, LIMITS)


def test_another_file_behind_the_descriptor(tmp_path: Path, guests: Path, dram: Dram) -> None:
    """QEMU's process id and descriptor were used again: that file must not be written to."""
    with guest(tmp_path, dram) as running, running.reachable(guests) as handle:
        path = handle.directory / FACTS
        facts = json.loads(path.read_text())
        facts["dram"][2] += 1  # the inode
        path.write_text(json.dumps(facts))
        with pytest.raises(UsageError, match=f"guest {handle.pid} is gone"):
            Attached(guests, handle.pid, LIMITS)


def test_a_guest_that_does_not_answer(tmp_path: Path, guests: Path, dram: Dram) -> None:
    with (
        guest(tmp_path, dram) as running,
        running.reachable(guests) as handle,
        pytest.raises(GuestLostError, match="does not answer: no SSH connection within 0 s"),
    ):
        Attached(guests, handle.pid, LIMITS)
