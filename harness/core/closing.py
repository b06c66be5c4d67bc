# SPDX-License-Identifier: MIT
"""What ends with a ``with`` block."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Closing(abc.ABC):
    """A context manager whose end is ``close()``, however the block ends."""

    @abc.abstractmethod
    def close(self) -> None:
        """Frees what it holds; more than once is fine."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()
