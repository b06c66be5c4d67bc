/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#define GOLDEN 0x9e3779b97f4a7c15ULL /* increment of splitmix64 */

uint64_t pattern_hash(uint64_t seed, uint64_t granule)
{
	uint64_t x = seed * GOLDEN + granule;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

unsigned int pattern_tag(uint64_t seed, uint64_t granule)
{
	return 1 + pattern_hash(seed, granule) % 15;
}

uint64_t pattern_data(uint64_t seed, uint64_t granule)
{
	return pattern_hash(seed ^ 1, granule);
}

uint64_t page_pattern_hash(uint64_t address, uint32_t generation)
{
	return pattern_hash(address, generation);
}

unsigned int page_pattern_tag(uint64_t hash, unsigned int granule)
{
	return 1 + ((hash >> (granule & 31)) + granule) % 15;
}

uint64_t page_pattern_word(uint64_t hash, unsigned int word)
{
	return hash + word * GOLDEN;
}
