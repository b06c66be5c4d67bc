# SPDX-License-Identifier: MIT
"""The patches of a series as a history: the kernels of the first N patches."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from harness.bugs.points import ListHistory
from harness.core.errors import UsageError
from harness.core.keys import key_of
from harness.kernel import RecipeKernel, TreeKernel
from harness.kernel.patches import read_patches
from harness.kernel.series import Series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.progress import Progress
    from harness.kernel import KernelSource
    from harness.kernel.patches import Patch

# The symbols that a patch adds: a kernel without the patch may lack them.
_ADDED_SYMBOL = re.compile(rb"^\+(?:menu)?config (\w+)\s*$", re.MULTILINE)


UNTRIED = (
    "The change is one of these {} patches; after all but the last the kernel could not be tried:"
)


class SeriesHistory(ListHistory):
    """The kernels below ``patches`` and after each of them; the point "3" has the first three."""

    def __init__(
        self, base: RecipeKernel | TreeKernel, name: Series, patches: Sequence[Patch],
        first: int, last: int,
    ) -> None:  # fmt: skip
        super().__init__([str(number) for number in range(first, last + 1)])
        self._base, self._name, self._patches = base, name, tuple(patches)

    @property
    def digest(self) -> str:
        """Return a key of the patches."""
        return key_of({"patches": [patch.digest for patch in self._patches]})

    def title(self, point: str) -> str:
        """Return the number and the name of the patch."""
        number = int(point)
        return f"patch {point}, {self._patches[number - 1].name}" if number else "no patch"

    def source(self, point: str) -> KernelSource:
        """Return the kernel of the first patches, up to ``point``."""
        return self._with(self._patches[: int(point)])

    def without(self, culprit: str) -> KernelSource:
        """Return the kernel of all patches up to the last point, but for ``culprit``."""
        left = int(culprit) - 1
        return self._with((*self._patches[:left], *self._patches[left + 1 : int(self.last)]))

    def answer(self, suspects: Sequence[str], *, came: bool) -> list[str]:
        """Return the patches that it may be."""
        if len(suspects) > 1:
            return [UNTRIED.format(len(suspects)), *(f"  {self.title(p)}" for p in suspects)]
        return [f"The bug {'came' if came else 'went'} with", f"  {self.title(suspects[0])}"]

    def _with(self, patches: tuple[Patch, ...]) -> KernelSource:
        options = self._base.options
        if patches:
            series = dataclasses.replace(self._name, patches=patches)
            options = dataclasses.replace(options, series=(series,))
        return dataclasses.replace(self._base, options=options)


def series_history(
    source: KernelSource, good: str | None, bad: str | None, progress: Progress
) -> tuple[SeriesHistory, bool]:
    """Return the patches of a recipe, or those of --series, and whether the bad end is the later.

    ``good`` and ``bad`` are numbers of patches; by default the bug came: none, and all. Raise
    UsageError.
    """
    if not isinstance(source, RecipeKernel | TreeKernel):
        raise UsageError("a kernel that is built already has no patches", "name a source")
    base, name, patches = _taken_apart(source, progress)
    numbers = [
        _number(option, word, default, len(patches))
        for option, word, default in (("--good", good, 0), ("--bad", bad, len(patches)))
    ]
    if numbers[0] == numbers[1]:
        raise UsageError(
            f"--good and --bad are the same: {numbers[0]} patches", "name two that differ"
        )
    first, last = sorted(numbers)
    return SeriesHistory(base, name, patches, first, last), numbers[0] == first


def _taken_apart(
    source: RecipeKernel | TreeKernel, progress: Progress
) -> tuple[RecipeKernel | TreeKernel, Series, list[Patch]]:
    """Return the kernel without its patches, the name of the series, and the patches."""
    options = source.options
    if options.series:
        *below, top = options.series
        plain = dataclasses.replace(options, series=tuple(below))
        if below:
            raise UsageError("--series is given twice", "join the lists of patches in one file")
        return dataclasses.replace(source, options=plain), top, list(top.patches)
    own = source.recipe.own_patches if isinstance(source, RecipeKernel) else None
    if own is None or not isinstance(source, RecipeKernel):
        raise UsageError("there are no patches to search", "give --series, or --good and --bad")
    patches = read_patches([own], progress)
    added = {match.decode() for patch in patches for match in _ADDED_SYMBOL.findall(patch.text)}
    recipe = dataclasses.replace(
        source.recipe,
        patches=tuple(path for path in source.recipe.patches if path != own),
        optional=source.recipe.optional | added,
    )
    return dataclasses.replace(source, recipe=recipe), Series(own, ()), patches


def _number(option: str, word: str | None, default: int, count: int) -> int:
    if word is None:
        return default
    if not word.isdecimal() or int(word) > count:
        raise UsageError(f"{option} {word}: no number of patches from 0 to {count}")
    return int(word)
