# SPDX-License-Identifier: MIT
"""A core dump read on the host: the tag segments hold what the program had set."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from harness.core.cross import compile_program, probe_flags
from harness.core.paths import resources
from tests.support.coredump import mapping_tags, parse_mappings, tags_at

if TYPE_CHECKING:
    from harness.guest.guest import Guest
    from harness.suite.session import Session

SOURCE = resources() / "guest" / "programs" / "tagged_abort.c"


def test_core_has_the_tags(guest: Guest, harness_session: Session) -> None:
    flags = probe_flags(guest.template.kernel.page_size)
    guest.push(compile_program(harness_session.programs, [SOURCE], flags), "tagged_abort")
    done = guest.exec(
        "echo core > /proc/sys/kernel/core_pattern; ulimit -c unlimited; ./tagged_abort"
    )
    assert done.status == 128 + 6, f"expected death by SIGABRT, saw {done.status}: {done.stderr}"
    mappings = parse_mappings(done.stdout)
    assert mappings
    found = tags_at(io.BytesIO(guest.pull("core")), mappings)
    for mapping in mappings:
        assert found[mapping] == mapping_tags(mapping), f"tags of {mapping}"
