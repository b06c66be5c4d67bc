/* SPDX-License-Identifier: MIT */
/* Data and tags of each page follow from its address and the generation of its content. */
#include "pressure.h"

enum { WORDS = PAGE / 8, REPORTS = 12 };

static uint64_t page_hash(const void *page, uint32_t generation)
{
	return page_pattern_hash((uintptr_t)page, generation);
}

void tag_page(unsigned char *page, uint32_t generation)
{
	uint64_t hash = page_hash(page, generation);
	unsigned int g;

	for (g = 0; g < GRANULES_PER_PAGE; g++)
		stg(page + g * GRANULE, page_pattern_tag(hash, g));
}

void fill_page(unsigned char *page, uint32_t generation, bool tagged)
{
	uint64_t hash = page_hash(page, generation), *word = (uint64_t *)page;
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		word[i] = page_pattern_word(hash, i);
	if (tagged)
		tag_page(page, generation);
}

void report_wrong(int kind, const void *page, uint32_t generation, const char *what,
		  unsigned int count, unsigned int offset, uint64_t want, uint64_t got)
{
	uint64_t entry = pagemap(page), pfn = entry & PM_PRESENT ? entry & PM_PFN_MASK : 0;
	char holds[64] = "";

	if (stored_in(pfn))
		snprintf(holds, sizeof(holds), ", holds the tags of 32 frames from %#llx",
			 (unsigned long long)stored_in(pfn));

	__atomic_fetch_add(kind == WRONG_TAGS ? &run->wrong_tags : &run->wrong_data, 1,
			   __ATOMIC_SEQ_CST);
	if (__atomic_fetch_add(&run->reported[kind == WRONG_DATA], 1, __ATOMIC_SEQ_CST) < REPORTS)
		ktap_note("wrong %s: process %d page %p generation %u frame %#llx (tags at "
			  "%#llx%s); %u wrong, first at %#x: expected %#llx, saw %#llx",
			  what, getpid(), page, generation, (unsigned long long)pfn,
			  (unsigned long long)storage_of(pfn), holds, count, offset,
			  (unsigned long long)want, (unsigned long long)got);
}

uint32_t check_page(unsigned char *page, uint32_t generation, bool tagged)
{
	uint64_t hash = page_hash(page, generation), *word = (uint64_t *)page;
	unsigned int i, first = 0, bad = 0;
	uint32_t wrong = 0;

	for (i = WORDS; i--;)
		if (word[i] != page_pattern_word(hash, i)) {
			first = i;
			bad++;
		}
	if (bad) {
		wrong |= WRONG_DATA;
		report_wrong(WRONG_DATA, page, generation, "data", bad, first * 8,
			     page_pattern_word(hash, first), word[first]);
	}
	for (i = GRANULES_PER_PAGE, bad = 0; tagged && i--;)
		if (ldg(page + i * GRANULE) != page_pattern_tag(hash, i)) {
			first = i;
			bad++;
		}
	if (bad) {
		wrong |= WRONG_TAGS;
		report_wrong(WRONG_TAGS, page, generation, "tags", bad, first * GRANULE,
			     page_pattern_tag(hash, first), ldg(page + first * GRANULE));
	}
	return wrong;
}
