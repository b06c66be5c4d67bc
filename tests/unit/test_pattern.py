# SPDX-License-Identifier: MIT
"""harness/core/pattern.py computes what guest/lib/pattern.c does, compiled for the host."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.core.paths import resources
from harness.core.pattern import page_pattern_tags, pattern_hash, pattern_tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GUEST = resources() / "guest"
# Seeds and first granules with carries at both ends of 64 bits.
SEEDS = [1, 2, 100, 0x7FFFFFFFFFFF, (1 << 64) - 1]
ADDRESSES = [0x10000, 0x7FFFF7FFF000, 0xFFFFFFFFF000]
GENERATIONS = [0, 1, (1 << 20) - 1, (1 << 32) - 1]
PROGRAM = """
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "pattern.h"
int main(int argc, char **argv)
{
    uint64_t a = strtoull(argv[2], NULL, 0), b = strtoull(argv[3], NULL, 0);
    for (uint64_t i = 0; i < 300; i++)
        switch (argv[1][0]) {
        case 'h': printf("%" PRIu64 "\\n", pattern_hash(a, b + i)); break;
        case 't': printf("%u\\n", pattern_tag(a, b + i)); break;
        case 'p':
            if (i < 256)
                printf("%u\\n", page_pattern_tag(page_pattern_hash(a, b), i));
        }
    return argc != 4;
}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, int], list[int]]:
    """Call a function of pattern.c for 300 granules (or the 256 of a page)."""
    gcc = shutil.which("gcc")
    assert gcc, "no gcc on this host"
    directory: Path = tmp_path_factory.mktemp("pattern")
    (directory / "main.c").write_text(PROGRAM)
    sources = [str(directory / "main.c"), str(GUEST / "lib" / "pattern.c")]
    program = str(directory / "pattern")
    subprocess.run([gcc, "-Wall", f"-I{GUEST / 'include'}", "-o", program, *sources], check=True)

    def call(function: str, first: int, second: int) -> list[int]:
        argv = [program, function, str(first), str(second)]
        output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return [int(line) for line in output.split()]

    return call


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("first", [0, 255, (1 << 40) - 3])
def test_granules(seed: int, first: int, compiled: Callable[[str, int, int], list[int]]) -> None:
    granules = np.arange(first, first + 300, dtype=np.uint64)
    hashes = pattern_hash(np.array([seed], dtype=np.uint64), granules)
    assert hashes.tolist() == compiled("h", seed, first)
    assert list(pattern_tags(seed, first, 300)) == compiled("t", seed, first)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_pages(
    address: int, generation: int, compiled: Callable[[str, int, int], list[int]]
) -> None:
    tags = page_pattern_tags(
        np.array([address], dtype=np.uint64), np.array([generation], dtype=np.uint64)
    )
    assert tags.shape == (1, 256)
    assert tags[0].tolist() == compiled("p", address, generation)


def test_no_tag_is_the_tag_of_lost_tags() -> None:
    assert 0 not in pattern_tags(1, 0, 10000)
    assert set(pattern_tags(1, 0, 10000)) == set(range(1, 16))
