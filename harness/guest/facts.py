# SPDX-License-Identifier: MIT
"""What was learned about a template's kernel in one clone, kept for its other clones."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Facts:
    """One value of each type: all clones of a template have one kernel at one place.

    Learning a fact may take memory in the guest, so that it is done before the counters
    of a leak check are read, and once.
    """

    def __init__(self) -> None:
        self._known: dict[type, object] = {}
        self._lock = threading.Lock()

    def once(self, kind: type[T], learn: Callable[[], T]) -> T:
        """Return the fact of type ``kind``; ``learn`` is called if it is not known yet.

        What ``learn`` raises passes through, and the next call tries again.
        """
        with self._lock:
            if kind not in self._known:
                self._known[kind] = learn()
            return cast("T", self._known[kind])
