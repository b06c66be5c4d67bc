# SPDX-License-Identifier: MIT
"""Which cases of a C probe reach a word: a call graph by names, over the probe and its library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.core.paths import resources
from harness.suite.head_comment import cases_of

if TYPE_CHECKING:
    from harness.suite.head_comment import Probe

LIBRARY = resources() / "guest" / "lib"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_FUNCTION = re.compile(r"^\w[^;{}=]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)


def _functions(text: str) -> dict[str, set[str]]:
    """Return the words in the body of each function."""
    plain = _COMMENT.sub("", text)
    return {name: set(re.findall(r"\w+", body)) for name, body in _FUNCTION.findall(plain)}


def cases_that_reach(probe: Probe, words: set[str]) -> set[str]:
    """Return the cases of ``probe`` whose functions have one of ``words``, or call one that has."""
    sources = [*LIBRARY.glob("*.c"), *sorted(probe.path.with_suffix("").glob("*.c")), probe.path]
    graph: dict[str, set[str]] = {}
    for source in sources:
        graph |= _functions(source.read_text(encoding="utf-8"))
    reached = {name for name, used in graph.items() if used & words}
    while more := {name for name, used in graph.items() if used & reached} - reached:
        reached |= more
    return reached & set(cases_of(probe))
