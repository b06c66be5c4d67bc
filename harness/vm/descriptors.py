# SPDX-License-Identifier: MIT
"""Whether this process may open the files that a guest takes.

QEMU, which inherits the limit, does not say that it lacks one: it takes no connection, and the
guest would look lost.
"""

from __future__ import annotations

import resource

from harness.core.errors import HarnessError

# `mte-harness run` lost its guest with 20, 24 and 30, and passes with 128.
LEAST = 128
ENOUGH = 1024


def require_descriptors() -> None:
    """Raise the soft limit of open files where it is low; HarnessError if the hard one is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if most < LEAST:
        raise HarnessError(
            f"this process may open {most} files, and a guest needs {LEAST}",
            f"raise the limit of open files: ulimit -Hn {ENOUGH}",
        )
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
