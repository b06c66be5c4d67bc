# SPDX-License-Identifier: MIT
"""``make dt_binding_check`` of the bindings that a series adds, with dtschema from PyPI.

dtschema is installed into a temporary environment: it needs pylibfdt, which PyPI has no wheel of,
and `.venv` takes wheels only (harness/host/venv.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import SetupError
from harness.core.toolchain import CROSS, clean_environment, jobs

if TYPE_CHECKING:
    from harness.core.progress import Progress

PACKAGES = ("dtschema==2026.9", "yamllint==1.38.0")
BINDINGS = "Documentation/devicetree/bindings/"


def check_bindings(names: list[str], tree: Path, progress: Progress) -> list[str]:
    """Return the errors of `make dt_binding_check` in ``names``, YAML files of ``tree``.

    Takes two minutes: the check reads all bindings, as one may refer to another. Raises
    SetupError.
    """
    with tempfile.TemporaryDirectory(prefix="mte-harness-dt-") as scratch:
        progress.step("installing dtschema")
        tools = Path(scratch) / "tools"
        _install(tools)
        progress.step("checking the device tree bindings")
        environment = clean_environment()
        environment["PATH"] = f"{tools / 'bin'}{os.pathsep}{environment['PATH']}"
        make = ["make", "-s", f"-j{jobs()}", "--no-print-directory", "-C", str(tree)]
        make += [f"O={scratch}/objects", "ARCH=arm64", f"CROSS_COMPILE={CROSS}"]
        files = ":".join(Path(name).name for name in names)
        messages: list[str] = []
        for target in (["allnoconfig"], ["dt_binding_check", f"DT_SCHEMA_FILES={files}"]):
            done = subprocess.run(
                [*make, *target],
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            messages += done.stderr.splitlines()
            if done.returncode:
                return messages or [f"make {target[0]} failed without a message"]
    # Other bindings of the tree have warnings of their own.
    return [line for line in messages if any(Path(name).stem in line for name in names)]


def _install(tools: Path) -> None:
    for argv in (
        [sys.executable, "-m", "venv", str(tools)],
        [str(tools / "bin/python"), "-m", "pip", "install", "--quiet", *PACKAGES],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise SetupError(
                "dtschema could not be installed",
                "sudo apt-get install python3-dev swig: it compiles pylibfdt",
                done.stderr[-2000:],
            )
