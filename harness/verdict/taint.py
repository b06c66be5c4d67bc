# SPDX-License-Identifier: MIT
"""The taint bits of /proc/sys/kernel/tainted, and those that a test has set.

Letters and bits: kernel/panic.c, taint_flags[]; meanings:
Documentation/admin-guide/tainted-kernels.rst.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """One taint bit. ``letter`` stands for it in the ``Tainted:`` line of a splat."""

    bit: int
    letter: str
    meaning: str


FLAGS = (
    Flag(0, "P", "proprietary module loaded"),
    Flag(1, "F", "module was force loaded"),
    Flag(2, "S", "kernel runs on an out of specification system"),
    Flag(3, "R", "module was force unloaded"),
    Flag(4, "M", "processor reported a machine check"),
    Flag(5, "B", "bad page referenced or unexpected page flags"),
    Flag(6, "U", "taint requested by user space"),
    Flag(7, "D", "kernel died recently: an oops or BUG"),
    Flag(8, "A", "ACPI table overridden by user"),
    Flag(9, "W", "kernel issued a warning"),
    Flag(10, "C", "staging driver loaded"),
    Flag(11, "I", "workaround for a platform firmware bug applied"),
    Flag(12, "O", "externally built module loaded"),
    Flag(13, "E", "unsigned module loaded"),
    Flag(14, "L", "soft lockup occurred"),
    Flag(15, "K", "kernel was live patched"),
    Flag(16, "X", "auxiliary taint, defined by distributions"),
    Flag(17, "T", "kernel built with the struct randomization plugin"),
    Flag(18, "N", "an in-kernel test was run"),
)


def decode(mask: int) -> tuple[Flag, ...]:
    """Return the flags of ``mask``, lowest bit first; a bit unknown here has the letter ``?``."""
    known = {flag.bit: flag for flag in FLAGS}
    return tuple(
        known.get(bit, Flag(bit, "?", f"unknown taint bit {bit}"))
        for bit in range(mask.bit_length())
        if mask >> bit & 1
    )


def added(before: int, after: int) -> tuple[Flag, ...]:
    """Return the flags that are set in ``after`` and not in ``before``."""
    return decode(after & ~before)
