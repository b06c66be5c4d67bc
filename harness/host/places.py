# SPDX-License-Identifier: MIT
"""Places that may have a kernel, asked in turn: one has it, says that it is gone, or is in trouble.

"Gone" is an answer: no such package, version, file (404) or tag. A place that gives no answer (a
time-out, a refused connection, a name that does not resolve, 5xx, an error of apt, a wrong hash)
cannot tell whether it has the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from harness.core.errors import BaseGoneError, NetworkError, NotThereError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def first_that_has(what: str, places: Iterable[tuple[str, Callable[[], T]]], cure: str) -> T:
    """Return what the first place gives that has ``what``.

    A place is a name and a function, which raises NotThereError if the place answers that it does
    not have it. Other errors than those of the network and of apt are passed on at once. Raise
    NetworkError if no place has it and one is in trouble, else BaseGoneError, which names ``cure``.
    """
    answers = []
    trouble = ""
    for name, find in places:
        try:
            return find()
        except NotThereError as error:
            answers.append(f"{name}: gone: {error.cause}")
        except (NetworkError, SetupError) as error:
            trouble = trouble or f"{name}: {error.cause}"
            answers.append(f"{name}: no answer: {error.cause}")
    details = "\n".join(answers)
    if trouble:
        raise NetworkError(
            f"whether {what} is gone cannot be told: {trouble}",
            "check the network, then run this again",
            details,
        )
    raise BaseGoneError(what, cure, details)
