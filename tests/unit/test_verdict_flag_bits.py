# SPDX-License-Identifier: MIT
"""Which bit of page->flags is which, out of samples."""

from __future__ import annotations

import numpy as np
import pytest

from harness.core.errors import AuditError
from harness.guest.kpageflags import MTE_LOCK, MTE_TAGGED, RESERVED
from harness.verdict.flag_bits import find_bit

RNG = np.random.default_rng(1)
HAS_TAGS = RNG.integers(0, 2, 200).astype(bool)
IS_RESERVED = RNG.integers(0, 2, 200).astype(bool)


def flags(*bits: tuple[int, np.ndarray]) -> np.ndarray:
    value = np.zeros(200, np.uint64)
    for bit, where in bits:
        value |= where.astype(np.uint64) << np.uint64(bit)
    return value


def test_the_bit_that_agrees() -> None:
    stable = flags((MTE_TAGGED, HAS_TAGS), (RESERVED, IS_RESERVED))
    seen = flags((23, HAS_TAGS), (13, IS_RESERVED), (4, HAS_TAGS & IS_RESERVED))
    assert find_bit(seen, stable, MTE_TAGGED) == 23
    assert find_bit(seen, stable, RESERVED) == 13


def test_two_that_always_go_together_keep_their_order() -> None:
    stable = flags((MTE_TAGGED, HAS_TAGS), (MTE_LOCK, HAS_TAGS))
    seen = flags((23, HAS_TAGS), (24, HAS_TAGS))
    assert find_bit(seen, stable, MTE_TAGGED) == 23
    assert find_bit(seen, stable, MTE_LOCK) == 24


def test_a_page_may_change_meanwhile() -> None:
    changed = HAS_TAGS.copy()
    changed[7] = not changed[7]
    assert find_bit(flags((23, changed)), flags((MTE_TAGGED, HAS_TAGS)), MTE_TAGGED) == 23


def test_what_cannot_be_told() -> None:
    stable = flags((MTE_TAGGED, HAS_TAGS))
    with pytest.raises(AuditError, match="no page, or every page"):
        find_bit(flags((23, HAS_TAGS)), stable, RESERVED)
    with pytest.raises(AuditError, match=r"KPF bits \[41\] agree with bits \[\]"):
        find_bit(flags((23, IS_RESERVED)), stable, MTE_TAGGED)
    with pytest.raises(AuditError, match=r"agree with bits \[5, 23\]"):
        find_bit(flags((23, HAS_TAGS), (5, HAS_TAGS)), stable, MTE_TAGGED)
