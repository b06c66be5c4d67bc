# SPDX-License-Identifier: MIT
"""Write requirements.lock, from which ``harness.host.venv`` makes the virtual environment.

Standard library only: a lock that cannot be installed must not keep a new one from being made.
``PYTHONPATH=. python3 -m harness.host.requirements_lock`` works without the virtual environment.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

PYTHON = "3.11"  # the oldest that pyproject.toml allows
COMMAND = "mte-harness lock"


def write_lock(root: Path, *, upgrade: bool) -> None:
    """Resolve the requirements of ``root``/pyproject.toml with uv, which PyPI provides.

    Locked versions stay unless ``upgrade`` is set or pyproject.toml excludes them. Raises
    CalledProcessError, after pip's or uv's message on standard error.
    """
    with tempfile.TemporaryDirectory(prefix="mte-harness-uv-") as scratch:
        subprocess.run([sys.executable, "-m", "venv", scratch], check=True)
        bin_directory = Path(scratch) / "bin"
        subprocess.run([bin_directory / "pip", "install", "--quiet", "uv"], check=True)
        command = [str(bin_directory / "uv"), "pip", "compile", "--quiet", "--no-config"]
        command += ["--python-version", PYTHON, "--generate-hashes", "--extra", "dev"]
        command += ["--custom-compile-command", COMMAND, *(["--upgrade"] if upgrade else [])]
        command += ["pyproject.toml", "--output-file", "requirements.lock"]
        subprocess.run(command, cwd=root, check=True)


if __name__ == "__main__":
    write_lock(Path(__file__).resolve().parents[2], upgrade=sys.argv[1:] == ["--upgrade"])
