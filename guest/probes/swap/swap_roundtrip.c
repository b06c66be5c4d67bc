/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_roundtrip
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * newer: 6.12 0ca0c24e3211 zero_data_is_not_written
 * disk: disk ssd zero_data_is_not_written
 * timeout: 60
 * smoke: yes
 *
 * Tags and data come back from swap unchanged, and into stale frames:
 * arch_prepare_to_swap() in swap_writepage() (mm/page_io.c), arch_swap_restore() in
 * do_swap_page() (mm/memory.c), mte_save_page_tags() and mte_restore_page_tags()
 * (arch/arm64/lib/mte.S). Includes pages that some layer treats specially: all-zero data
 * is not written to the device (zeromap), and zram stores one repeated word as such; few
 * tags, one tag, no tag at all.
 */
#include "fault.h"
#include "stale.h"
#include "swap.h"

enum kind { RANDOM, ZERO_DATA, SAME_DATA, NO_TAGS, ONE_TAG, LAST_TAG, ALL_15, KINDS };

#define PAGES (8 * KINDS)
#define LEN   (PAGES * PAGE)

static unsigned int want_tag(uint64_t seed, size_t page, size_t g)
{
	switch ((page + seed) % KINDS) {
	case NO_TAGS:
		return 0;
	case ONE_TAG:
		return g == page * 4 % GRANULES_PER_PAGE ? 6 : 0;
	case LAST_TAG:
		return g == GRANULES_PER_PAGE - 1 ? 9 : 0;
	case ALL_15:
		return 15;
	default:
		return pattern_tag(seed, page * GRANULES_PER_PAGE + g);
	}
}

static uint64_t want_data(uint64_t seed, size_t page, size_t g)
{
	switch ((page + seed) % KINDS) {
	case ZERO_DATA:
		return 0;
	case SAME_DATA:
		return 0x1122334455667788 + page;
	default:
		return pattern_hash(seed, page * GRANULES_PER_PAGE + g);
	}
}

static void fill(char *p, uint64_t seed)
{
	size_t i, g;

	for (i = 0; i < PAGES; i++) {
		for (g = 0; g < GRANULES_PER_PAGE; g++) {
			uint64_t *word = (uint64_t *)(p + i * PAGE + g * GRANULE);

			stg(word, want_tag(seed, i, g));
			word[0] = word[1] = want_data(seed, i, g);
		}
	}
}

static void check(char *p, uint64_t seed, const char *when)
{
	size_t i, g;

	for (i = 0; i < PAGES; i++) {
		size_t bad_tags = 0, bad_data = 0;

		for (g = 0; g < GRANULES_PER_PAGE; g++) {
			volatile uint64_t *word = (uint64_t *)(p + i * PAGE + g * GRANULE);

			bad_tags += ldg(word) != want_tag(seed, i, g);
			bad_data += word[0] != want_data(seed, i, g) || word[1] != word[0];
		}
		CHECK(!bad_tags && !bad_data,
		      "%s: page %zu of kind %zu: expected 0 wrong granules, "
		      "saw %zu wrong tags, %zu wrong data",
		      when, i, (i + seed) % KINDS, bad_tags, bad_data);
	}
}

static void round_trip(void)
{
	char *p = mte_map(LEN);
	uint64_t seed;
	size_t i;

	for (seed = 1; seed <= 3; seed++) {
		fill(p, seed);
		page_out(p, LEN);
		stale_fill(STALE_SMALL, false);
		/* Swap-in by a read, a write, and a tag store that changes no tag. */
		for (i = 0; i < PAGES; i++) {
			if (i % 3 == 0)
				touch_read(p + i * PAGE, PAGE);
			else if (i % 3 == 1)
				touch_write(p + i * PAGE, PAGE);
			else
				stg(p + i * PAGE + 20 * GRANULE, want_tag(seed, i, 20));
		}
		check(p, seed, "swapped in");
	}
}

static void disk(void)
{
	swap_begin(swap_disk);
	round_trip();
}

static void ssd(void)
{
	swap_begin(swap_ssd);
	round_trip();
}

static void zram(void)
{
	swap_begin(swap_zram);
	round_trip();
}

/* Pages of kind ZERO_DATA prove something only if they take the zero map. */
static void zero_data_is_not_written(void)
{
	char *p;
	long before, zero;

	swap_begin(swap_disk);
	p = mte_map(LEN);
	pattern_set_tags(p, LEN, 4);
	before = vmstat("swpout_zero");
	page_out(p, LEN);
	zero = vmstat("swpout_zero") - before;
	pattern_check_tags(p, LEN, 4, "zero data, swapped in");
	NEED(zero == PAGES, "%ld of %d pages took the zero map", zero, PAGES);
}

PROBE(CASE(disk), CASE(ssd), CASE(zram), CASE(zero_data_is_not_written));
