# SPDX-License-Identifier: MIT
"""Where the command ``mte-harness`` begins: it imports all the rest.

That takes a second, in which Ctrl-C, a host at its limits and a damaged installation are met: each
ends with a documented status. Python's own for an exception, 1, would call a kernel bad. Until
then, only Python's own modules are imported.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    # numpy's OpenBLAS starts a thread for each CPU at its import, and ends the process with
    # status 1 if it does not get the memory for them (OpenBLAS, README.md, "Setting the number of
    # threads using environment variables"). The harness multiplies no matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from harness.jobs.command_line import main as command  # noqa: PLC0415 - it is what may fail
    except BaseException as error:  # noqa: BLE001
        _refuse(error)
    else:
        command()


def _refuse(error: BaseException) -> NoReturn:
    """Say in one line why the command cannot begin, and exit.

    The statuses are those of INTERRUPTED, HarnessError and SetupError of harness/core/errors.py,
    which may not be there.
    """
    match error:
        case KeyboardInterrupt():
            status, text = 130, "interrupted"
        case OSError() | MemoryError() | SystemError():  # the last: an import without memory
            status, text = 159, f"this host refuses: {str(error) or 'memory'} (ulimit -a)"
        case _:
            status = 161
            text = (
                f"the installation is damaged: {type(error).__name__}: {error} (remove "
                f"{sys.prefix}, and run scripts/mte-harness doctor, or install the package again)"
            )
    os.write(2, f"mte-harness: {text}\n".encode())
    os._exit(status)  # what is half imported may not survive an orderly end
