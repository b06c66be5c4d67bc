# SPDX-License-Identifier: MIT
"""Patterns of tags: the same functions as guest/lib/pattern.c, on numpy arrays.

``tests/unit/test_pattern.py`` compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.uint64]

GRANULE = 16
GRANULES_PER_PAGE = 256
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def pattern_hash(seed: Array, granule: Array) -> Array:
    """Return splitmix64 of granules in the streams of ``seed``; the shapes broadcast."""
    x = seed * _GOLDEN + granule
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def pattern_tags(seed: int, first: int, count: int) -> bytes:
    """Return the tags (1 to 15) of ``count`` granules from ``first`` on, one per byte."""
    granules = np.arange(first, first + count, dtype=np.uint64)
    hashes = pattern_hash(np.array([seed], dtype=np.uint64), granules)
    return (np.uint64(1) + hashes % np.uint64(15)).astype(np.uint8).tobytes()


def page_pattern_tags(addresses: Array, generations: Array) -> npt.NDArray[np.uint8]:
    """Return the tags of pages of the pressure probe, shape (pages, 256)."""
    granules = np.arange(GRANULES_PER_PAGE, dtype=np.uint64)
    hashes = pattern_hash(addresses, generations)[:, None]
    tags = np.uint64(1) + ((hashes >> (granules & np.uint64(31))) + granules) % np.uint64(15)
    return tags.astype(np.uint8)
