# SPDX-License-Identifier: MIT
"""Text from a guest that would act on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \ttext\nä 漢\r\n", "plain \ttext\nä 漢\r\n"),
        ("\x1b[2Jclear", "\\x1b[2Jclear"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("50 %\r51 %", "50 %\\r51 %".replace("\\r", "\\x0d")),
        ("a\x00b\x7f", "a\\x00b\\x7f"),
        ("\u202eterces", "\\u202eterces"),
        ("one\u2028two", "one\\u2028two"),
    ],
)
def test_what_acts_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_a_second_call_does_nothing(text: str) -> None:
    once = printable(text)
    assert printable(once) == once
    assert "\x1b" not in once


WRITE = """\
from harness.jobs.output_stream import OutputStream
write = OutputStream()
for data in (b"\\x1b[2J\\xc3", b"\\xa4 <b>\\n"):
    write("stdout", data)
"""


def test_a_terminal_gets_printable_text() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", WRITE], stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 1000)
    os.close(ours)
    assert shown == "\\x1b[2Jä <b>\r\n".encode()


def test_a_pipe_gets_the_bytes() -> None:
    done = subprocess.run([sys.executable, "-c", WRITE], capture_output=True, check=True)
    assert done.stdout == "\x1b[2Jä <b>\n".encode()
