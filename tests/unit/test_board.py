# SPDX-License-Identifier: MIT
"""A board under test: how it is reached, what is known of it, a visit, and each way it can fail.

The SSH server is real, on loopback; the board behind it is played (tests/support/fake_board.py).
"""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING

import paramiko
import pytest

from harness.core.errors import (
    BoardBusyError,
    BoardKeyError,
    BoardLeftError,
    BoardLoginError,
    BoardLostError,
    BoardUnfitError,
    BoardUnreachableError,
    GuestLostError,
    HarnessError,
    UsageError,
)
from harness.core.limits import Limits
from harness.core.paths import resources
from harness.core.progress import Silent
from harness.core.store import Store
from harness.guest import board as board_module
from harness.guest import visit as visit_module
from harness.guest.board import NOTHING_ALLOWED, Board, BoardOptions
from harness.guest.visit import Visit
from harness.kernel.board_address import parse_board
from harness.suite.board_probes import DESTRUCTIVE, NO_DISK, not_on
from harness.suite.gather import gather, run_program, why_not
from harness.suite.head_comment import discover
from harness.suite.program import Program, PushedFile
from harness.suite.target import parse_target, split_target
from harness.verdict.result import Status
from tests.support.fake_board import BOOT, PASSES, FakeBoard, Listening, listening
from tests.support.reach import cases_that_reach

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROBES = {probe.name: probe for probe in discover(resources() / "guest" / "probes")}
PROGRAM = Program("./first", 30, speaks_ktap=True)
WARNING = (
    "[    5.000000] ------------[ cut here ]------------\n"
    "[    5.000001] WARNING: CPU: 0 PID: 99 at mm/ksm.c:9 ksm_scan+0x10/0x20\n"
    "[    5.000002] ---[ end trace 0000000000000000 ]---\n"
)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(visit_module, "BACK", 0.5)
    program = tmp_path / "keeper"
    program.write_bytes(b"the keeper is played by the server")
    monkeypatch.setattr(Board, "keeper", program)  # no test here needs the real one compiled
    monkeypatch.setattr(board_module, "BETWEEN_TRIES", 0.05)
    with listening(FakeBoard(says={"cd /tmp; ./first": (PASSES, 0)}), tmp_path / "home") as found:
        yield found


def reach(
    tmp_path: Path, options: BoardOptions = NOTHING_ALLOWED, address: str = "ssh://root@board"
) -> Board:
    stores = (
        Store(tmp_path / "cache", "programs", Silent()),
        Store(tmp_path / "cache", "boards", Silent()),
    )
    limits = Limits(reboot=1.0)
    return Board(parse_board(address), options, limits, stores, Silent())


def one_line(error: HarnessError) -> str:
    assert "\n" not in str(error)
    assert error.cure
    return str(error)


# Addresses.


@pytest.mark.parametrize(
    ("argument", "host", "user", "port"),
    [
        ("ssh://root@board", "board", "root", None),
        ("ssh://Board-2", "Board-2", "", None),
        ("ssh://root@192.0.2.7:2222", "192.0.2.7", "root", 2222),
        ("ssh://root@[::1]:22", "::1", "root", 22),
    ],
)
def test_addresses(argument: str, host: str, user: str, port: int | None) -> None:
    board = parse_board(argument)
    assert (board.host, board.user, board.port) == (host, user, port)
    assert str(board) == argument
    assert "::" not in board.name
    assert split_target(argument) == (argument, "")


@pytest.mark.parametrize(
    "argument",
    ["ssh://", "ssh://a/b", "ssh://a:99999", "ssh://a:b@c", "ssh://-oProxy", "ssh://a?b"],
)
def test_no_addresses(argument: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_board(argument)
    one_line(raised.value)


def test_what_goes_with_a_board() -> None:
    assert parse_target("ssh://root@dram", None).spec.name == "board"
    for machine, append in (("dram", ""), (None, "quiet")):
        with pytest.raises(UsageError, match="not with --"):
            parse_target("ssh://root@board", machine, append)


# How it is reached.


def test_facts(there: Listening, tmp_path: Path) -> None:
    board = reach(tmp_path)
    table = board.facts.table()
    assert table["board"] == "Radxa Orion O6"
    assert table["CPUs of the board"] == "2 of implementer 0x41 part 0xd81"
    assert table["MTE of the board"] == "mte mte3"
    assert (board.spec.cpus, board.spec.memory_mib, board.kernel.page_size) == (2, 15625, 4096)
    assert board.kernel.release == "7.3.4"
    # zram is a module there, which is loaded.
    assert board.kernel.built_with("CONFIG_ZRAM")


def test_an_unknown_host_key(there: Listening, tmp_path: Path) -> None:
    (there.home / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(BoardKeyError, match=r"is not known.*accept it once: ssh") as raised:
        reach(tmp_path)
    one_line(raised.value)
    assert not there.board.logins
    assert not (there.home / ".ssh" / "known_hosts").read_text()


def test_a_host_key_that_changed(there: Listening, tmp_path: Path) -> None:
    other = paramiko.ECDSAKey.generate()
    known = f"[127.0.0.1]:{there.port} {other.get_name()} {other.get_base64()}\n"
    (there.home / ".ssh" / "known_hosts").write_text(known)
    with pytest.raises(BoardKeyError, match="is another than in known_hosts") as raised:
        reach(tmp_path)
    one_line(raised.value)
    assert not there.board.logins


def test_a_login_that_is_refused(there: Listening, tmp_path: Path) -> None:
    there.board.user = "admin"
    with pytest.raises(BoardLoginError, match="refuses the login") as raised:
        reach(tmp_path)
    one_line(raised.value)
    (there.home / ".ssh" / "config").write_text(
        f"Host board\n HostName 127.0.0.1\n Port {there.port}\n"
    )
    (there.home / ".ssh" / "id_ecdsa").unlink()
    with pytest.raises(BoardLoginError):
        reach(tmp_path)


def test_a_user_who_is_not_root(there: Listening, tmp_path: Path) -> None:
    there.board.uid = 1000
    with pytest.raises(BoardLoginError, match="not root, but 1000"):
        reach(tmp_path)


def test_nothing_listens(there: Listening, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(BoardUnreachableError, match="does not answer") as raised:
        reach(tmp_path, address=f"ssh://root@127.0.0.1:{port}")
    one_line(raised.value)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"features": "fp asimd"}, "has no MTE"),
        ({"shown": ("memcg",)}, "no tmpfs at /dev/shm"),
        ({"page_kib": 8}, "pages of 8192 bytes"),
        ({"release": "vendor"}, "no release of Linux"),
        ({"config": ""}, r"does not show its kernel's .config .*--config FILE"),
        ({"says": {"==> facts": ("busybox: not found", 127)}}, "does not say what it is"),
    ],
)
def test_an_unfit_board(
    there: Listening, tmp_path: Path, change: dict[str, object], cause: str
) -> None:
    for name, value in change.items():
        setattr(there.board, name, value)
    with pytest.raises(BoardUnfitError, match=cause) as raised:
        reach(tmp_path)
    one_line(raised.value)


def test_without_kpageflags_probes_are_skipped_by_name(there: Listening, tmp_path: Path) -> None:
    there.board.shown = tuple(path for path in there.board.shown if "kpageflags" not in path)
    board = reach(tmp_path)
    why = why_not(PROBES["cow_fork"], board.kernel)
    assert why == "kernel board has no CONFIG_PROC_PAGE_MONITOR"


def test_a_config_of_the_users(there: Listening, tmp_path: Path) -> None:
    there.board.config = ""
    config = tmp_path / "my.config"
    config.write_text("CONFIG_ARM64=y\nCONFIG_KSM=y\n")
    address = dataclasses.replace(parse_board("ssh://root@board"), config=config)
    stores = (Store(tmp_path, "programs", Silent()), Store(tmp_path, "boards", Silent()))
    board = Board(address, NOTHING_ALLOWED, Limits(), stores, Silent())
    assert board.kernel.built_with("CONFIG_KSM")


# A visit.


def test_a_program_passes_and_says_that_nothing_is_reset(there: Listening, tmp_path: Path) -> None:
    file = tmp_path / "first"
    file.write_bytes(b"program")
    board = reach(tmp_path)
    for number in (1, 2):
        with Visit(board) as visit:
            result = run_program(
                visit, dataclasses.replace(PROGRAM, files=(PushedFile(file, "first"),))
            )
        assert result.status is Status.PASS, result.text()
        assert "not reset in between" in result.note
        assert f"program {number} " in result.note
    lines = there.board.lines
    assert not [line for line in lines if "zram*" in line]
    # What a program removes, it removes in its own mount namespace.
    assert all("keeper run" in line for line in lines if "rm -rf /tmp" in line)
    assert any("PROBE_ZRAM=/dev/zram1" in line for line in lines)
    # An empty name is no device; without one, it would be a guest's, which a board may have, too.
    assert all("export PROBE_SWAP_DISK=" in line for line in lines if "keeper run" in line)


def test_the_swap_device_is_told(there: Listening, tmp_path: Path) -> None:
    with Visit(reach(tmp_path, BoardOptions("/dev/nvme0n1p4"))) as visit:
        run_program(visit, PROGRAM)
    assert any("export PROBE_SWAP_DISK=/dev/nvme0n1p4" in line for line in there.board.lines)
    assert any("keeper guard /dev/shm/mte-harness /dev/nvme0n1p4" in x for x in there.board.lines)


def test_a_splat_in_the_log(there: Listening, tmp_path: Path) -> None:
    with Visit(reach(tmp_path)) as visit:
        there.board.prints = WARNING
        result = run_program(visit, PROGRAM)
    assert result.status is Status.SPLAT


def test_records_of_the_log_were_lost(there: Listening, tmp_path: Path) -> None:
    with pytest.raises(BoardUnfitError, match="a splat may be lost"), Visit(reach(tmp_path)) as v:
        there.board.prints = "\x01overrun records\n"
        gather(v, PROGRAM)


@pytest.mark.parametrize(
    ("begins", "error", "cause"),
    [
        ("\x01busy another run of mte-harness is there\n", BoardBusyError, "another run"),
        ("\x01busy its swap /dev/zram0 cannot be turned off: no memory\n", BoardBusyError, "swap"),
        ("\x01stale /dev/shm/mte-harness\n", BoardLeftError, "was killed"),
        ("\x01unfit no program runs in /dev/shm\n", BoardUnfitError, "no program runs"),
    ],
)
def test_a_visit_that_cannot_begin(
    there: Listening, tmp_path: Path, begins: str, error: type[HarnessError], cause: str
) -> None:
    there.board.begins = begins
    with pytest.raises(error, match=cause) as raised:
        Visit(reach(tmp_path))
    one_line(raised.value)


def test_something_is_left(there: Listening, tmp_path: Path) -> None:
    there.board.leaves = ('/proc/sys/vm/swappiness: "1", was "60"', "swap /swap is off: EINVAL")
    with pytest.raises(BoardLeftError, match="swappiness") as raised, Visit(reach(tmp_path)):
        pass
    one_line(raised.value)
    assert "/swap is off" in raised.value.details


# A connection that is lost.


def test_the_connection_breaks_and_the_board_runs_on(there: Listening, tmp_path: Path) -> None:
    there.board.cut_at = "./first"
    with (
        pytest.raises(BoardLostError, match="the board runs on") as raised,
        Visit(reach(tmp_path)) as v,
    ):
        gather(v, PROGRAM)
    one_line(raised.value)
    assert raised.value.status == 182


def test_the_board_boots_again_by_itself(there: Listening, tmp_path: Path) -> None:
    there.board.cut_at, there.board.boots_again = "./first", True
    with Visit(reach(tmp_path)) as visit:
        result = run_program(visit, PROGRAM)
    assert result.status is Status.LOST
    assert "booted again by itself" in result.title


def test_a_panic_in_the_log_is_the_kernel_s(there: Listening, tmp_path: Path) -> None:
    board = reach(tmp_path)
    with Visit(board) as visit:
        there.board.prints = "[    6.000000] Kernel panic - not syncing: dead\n"
        visit.console.text()
        there.board.cut_at = "./first"
        with pytest.raises(GuestLostError, match="its kernel went down"):
            visit.exec("./first")


def test_the_board_is_gone(
    there: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = reach(tmp_path)
    visit = Visit(board)
    monkeypatch.setattr(board, "wait", lambda _seconds: False)
    there.board.cut_at = "./first"
    with pytest.raises(BoardLostError, match="cannot be told from here") as raised:
        visit.exec("./first")
    one_line(raised.value)
    visit.close()


# --reboot.


def test_a_board_is_reset_after_a_test_that_failed(there: Listening, tmp_path: Path) -> None:
    mark = tmp_path / "reset"
    board = reach(tmp_path, BoardOptions(reboot=f"touch {mark}"))
    with Visit(board) as visit:
        visit.suspect()
    there.board.boot = BOOT.replace("1", "3")
    with Visit(board) as visit:
        assert "program 1 on it since it was reset" in visit.note
    assert mark.exists()


def test_a_reset_that_does_nothing(there: Listening, tmp_path: Path) -> None:
    board = reach(tmp_path, BoardOptions(reboot="echo no such outlet; exit 3"))
    board.suspect = True
    with pytest.raises(BoardLostError, match="ended with 3") as raised:
        Visit(board)
    assert "no such outlet" in raised.value.details


def test_another_kernel_after_a_reset(there: Listening, tmp_path: Path) -> None:
    board = reach(tmp_path, BoardOptions(reboot="true"))
    board.suspect = True
    there.board.boot, there.board.release = BOOT.replace("1", "3"), "6.12.1"
    with pytest.raises(BoardLostError, match="another kernel"):
        Visit(board)


# What a board's user must allow.


DISK = {"swap_disk", "swap_ssd", "swap_disk_of", "SWAP_DISK", "swap_disk_rotates"}
TAKES_AWAY = {"MADV_SOFT_OFFLINE", "MADV_HWPOISON", "set_online"}


@pytest.mark.parametrize("name", [name for name in PROBES if PROBES[name].path.suffix == ".c"])
def test_head_comments_name_what_writes_a_disk_or_takes_pages(name: str) -> None:
    probe = PROBES[name]
    assert set(probe.disk) == cases_that_reach(probe, DISK)
    assert set(probe.destructive) == cases_that_reach(probe, TAKES_AWAY)


def test_what_is_left_out(there: Listening, tmp_path: Path) -> None:
    board = reach(tmp_path)
    assert not_on(PROBES["cow_fork"], board) == {}
    assert not_on(PROBES["swap_roundtrip"], board)["disk"] == NO_DISK
    assert "zram" not in not_on(PROBES["swap_roundtrip"], board)
    assert set(not_on(PROBES["migrate_race"], board).values()) == {DESTRUCTIVE}
    allowed = reach(tmp_path, BoardOptions("/dev/sda3", destructive=True))
    assert not_on(PROBES["migrate_page"], allowed) == {}
