# SPDX-License-Identifier: MIT
"""Taint masks."""

from __future__ import annotations

from harness.verdict import taint


def test_decode() -> None:
    assert [(flag.bit, flag.letter) for flag in taint.decode(0b1010100000)] == [
        (5, "B"), (7, "D"), (9, "W"),
    ]  # fmt: skip
    assert taint.decode(0) == ()


def test_added_is_what_was_not_there_before() -> None:
    assert [flag.letter for flag in taint.added(1 << 9, 1 << 9 | 1 << 14)] == ["L"]
    assert taint.added(1 << 9, 1 << 9) == ()
    assert taint.added(1 << 9, 0) == ()


def test_unknown_bit_is_still_a_taint() -> None:
    (flag,) = taint.decode(1 << 40)
    assert (flag.bit, flag.letter) == (40, "?")


def test_letters_are_in_the_order_of_taint_flags() -> None:
    """taint_flags[] of kernel/panic.c."""
    letters = [flag.letter for flag in taint.decode((1 << 19) - 1)]
    assert "".join(letters) == "PFSRMBUDAWCIOELKXTN"
