# SPDX-License-Identifier: MIT
"""What a target becomes before a program runs: a saved guest, or a board that was looked at."""

from __future__ import annotations

from harness.guest.board import Board
from harness.guest.template import Template

Testbed = Template | Board
