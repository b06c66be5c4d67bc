/* SPDX-License-Identifier: MIT */
/*
 * Patterns: the tag and the data of each granule are a function of a seed and of the
 * granule's number, so that a tag or data of another page, granule or time is seen.
 *
 * The harness computes the same values: harness/core/pattern.py. This file needs
 * neither MTE nor arm64; tests/unit/test_pattern.py compares the two on the host.
 */
#ifndef MTE_HARNESS_PATTERN_H
#define MTE_HARNESS_PATTERN_H

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014) of a granule's number in the stream of `seed`. */
uint64_t pattern_hash(uint64_t seed, uint64_t granule);

/* A tag from 1 to 15. Never 0, which is what a lost tag reads as. */
unsigned int pattern_tag(uint64_t seed, uint64_t granule);

/* The first data word of a granule; the second one is its complement. */
uint64_t pattern_data(uint64_t seed, uint64_t granule);

/*
 * The rule of the pressure probe, for a page: its tags and words follow from one hash of
 * its address and generation, which is cheaper to check than a hash per granule.
 */
uint64_t page_pattern_hash(uint64_t address, uint32_t generation);
unsigned int page_pattern_tag(uint64_t hash, unsigned int granule);
uint64_t page_pattern_word(uint64_t hash, unsigned int word);

#endif
