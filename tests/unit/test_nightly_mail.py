# SPDX-License-Identifier: MIT
"""``scripts/nightly-mail``: what is mailed, with a harness and a sendmail that are made up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.core.paths import checkout

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = checkout("a test") / "scripts" / "nightly-mail"
# Ends as its guests would, on a signal that a shell in the background must not ignore.
HARNESS = """#!/usr/bin/env python3
import pathlib, signal, sys, time
def end(number, frame):
    pathlib.Path("ended").write_text(signal.Signals(number).name)
    sys.exit(128 + number)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    sys.exit(99)
signal.signal(signal.SIGTERM, end)
print("begun", flush=True)
{what}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "reports/nightly").mkdir(parents=True)
    (tmp_path / "reports/nightly/mail.txt").write_text("Subject: of yesterday\n")
    program(tmp_path / "sendmail", '#!/bin/sh\necho "to $2" >sent\ncat >>sent\n')
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def start(place: Path, what: str) -> subprocess.Popen[str]:
    program(place / "scripts/mte-harness", HARNESS.format(what=what))
    return subprocess.Popen(
        [place / "scripts/nightly-mail", "a@b"],
        cwd=place,
        env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("status", [0, 1])
def test_the_text_of_the_night_is_mailed(place: Path, status: int) -> None:
    text = "reports/nightly/mail.txt"
    night = start(place, f"pathlib.Path('{text}').write_text('Subject: x\\n'); sys.exit({status})")
    night.communicate()
    assert night.returncode == status
    assert (place / "sent").read_text() == "to a@b\nSubject: x\n"


def test_a_night_that_came_to_no_end_is_mailed(place: Path) -> None:
    night = start(place, "sys.exit(170)")
    night.communicate()
    assert night.returncode == 170
    assert "came to no end (status 170)\n\n" in (place / "sent").read_text()


def test_a_signal_to_the_script_ends_the_night_and_is_waited_for(place: Path) -> None:
    night = start(place, "time.sleep(60)")
    assert night.stdout
    assert night.stdout.readline() == "begun\n"
    night.terminate()
    night.communicate(timeout=30)
    assert night.returncode == 128 + signal.SIGTERM
    assert (place / "ended").read_text() == "SIGTERM"
    assert "status 143" in (place / "sent").read_text()


def test_a_mail_that_is_not_sent_is_no_success(place: Path) -> None:
    program(place / "sendmail", "#!/bin/sh\nexit 75\n")
    for what, status in (("sys.exit(0)", 159), ("sys.exit(1)", 1)):
        night = start(place, what)
        _, said = night.communicate()
        assert (night.returncode, "sendmail failed" in said) == (status, True)
