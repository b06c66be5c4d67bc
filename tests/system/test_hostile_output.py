# SPDX-License-Identifier: MIT
"""What a program prints, on whatever way, cannot act on the terminal or the page that shows it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness.report import html
from harness.suite.gather import run_program
from harness.suite.program import Program
from harness.verdict.result import Status
from tests.unit.report_sample import sample_report

if TYPE_CHECKING:
    from pathlib import Path

    from harness.guest.guest import Guest

SCRIPT = r"""
printf 'KTAP version 1\n1..1\n# \033[2J \033]0;title\007 <script>alert(1)</script>\n'
printf 'not ok 1 a\033[31m \342\200\256 <b>\n'
printf 'stderr \033[2J <i>\n' >&2
printf 'kmsg \033[2J <u>\n' > /dev/kmsg
printf 'tty \033[2J <s>\n' > /dev/ttyAMA0
exit 1
"""


def test_escapes_and_tags(guest: Guest, tmp_path: Path) -> None:
    result = run_program(guest, Program(SCRIPT, 30, speaks_ktap=True))
    assert result.status is Status.FAIL
    texts = (result.text(), result.stdout, result.stderr, result.console)
    assert not [text for text in texts if "\x1b" in text or "\u202e" in text]
    assert r"a\x1b[31m \u202e <b>" in result.text()
    assert r"kmsg \x1b[2J <u>" in result.console
    sample = sample_report()
    test = dataclasses.replace(sample.tests[0], result=result)
    html.write(dataclasses.replace(sample, tests=(test,)), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for tag in ("<script>alert(1)", "\x1b", "<u>\n", "<s>\n"):
        assert tag not in page
    assert "&lt;script&gt;alert(1)" in page
