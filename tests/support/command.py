# SPDX-License-Identifier: MIT
"""The ``mte-harness`` command of the environment that the tests run in."""

from __future__ import annotations

import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "mte-harness")
