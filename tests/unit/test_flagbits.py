# SPDX-License-Identifier: MIT
"""Which bit of page->flags is which, out of samples."""

from __future__ import annotations

import numpy as np
import pytest

from harness.core.errors import AuditError
from harness.verdict.flag_bits import KPF_ARCH_2, KPF_RESERVED, find_bit

RNG = np.random.default_rng(1)
TAGGED = RNG.integers(0, 2, 200).astype(bool)
RESERVED = RNG.integers(0, 2, 200).astype(bool)


def flags(*bits: tuple[int, np.ndarray]) -> np.ndarray:
    value = np.zeros(200, np.uint64)
    for bit, where in bits:
        value |= where.astype(np.uint64) << np.uint64(bit)
    return value


def test_the_bit_that_agrees() -> None:
    stable = flags((KPF_ARCH_2, TAGGED), (KPF_RESERVED, RESERVED))
    seen = flags((23, TAGGED), (13, RESERVED), (4, TAGGED & RESERVED))
    assert find_bit(seen, stable, KPF_ARCH_2) == 23
    assert find_bit(seen, stable, KPF_RESERVED) == 13


def test_two_that_always_go_together_keep_their_order() -> None:
    stable = flags((KPF_ARCH_2, TAGGED), (42, TAGGED))
    seen = flags((23, TAGGED), (24, TAGGED))
    assert find_bit(seen, stable, KPF_ARCH_2) == 23
    assert find_bit(seen, stable, 42) == 24


def test_a_page_may_change_meanwhile() -> None:
    changed = TAGGED.copy()
    changed[7] = not changed[7]
    assert find_bit(flags((23, changed)), flags((KPF_ARCH_2, TAGGED)), KPF_ARCH_2) == 23


def test_what_cannot_be_told() -> None:
    stable = flags((KPF_ARCH_2, TAGGED))
    with pytest.raises(AuditError, match="no page, or every page"):
        find_bit(flags((23, TAGGED)), stable, KPF_RESERVED)
    with pytest.raises(AuditError, match=r"KPF bits \[41\] go with bits \[\]"):
        find_bit(flags((23, RESERVED)), stable, KPF_ARCH_2)
    with pytest.raises(AuditError, match=r"go with bits \[5, 23\]"):
        find_bit(flags((23, TAGGED), (5, TAGGED)), stable, KPF_ARCH_2)
