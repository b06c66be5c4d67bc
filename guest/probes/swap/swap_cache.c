/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_cache
 * needs: CONFIG_SWAP CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * newer: 6.18/6.12.56/6.1.158 143937ca51cc dropped_clean
 * disk: yes
 * timeout: 60
 *
 * A page that was swapped in keeps its swap entry, and with it its saved tags, as long as
 * it is in the swap cache. If it is dropped clean, the saved tags are restored once more.
 * If its tags were changed, the new tags are saved, and the old ones must never come back:
 * mte_save_tags() replaces the saved tags, and mte_restore_tags() does not touch a page
 * that already has tags (arch/arm64/mm/mteswap.c).
 */

#include <sys/uio.h>

#include "stale.h"
#include "swap.h"

#define LEN (16 * PAGE)

/* Tagged pages that were swapped out and in: clean, in the swap cache, and mapped. */
static char *clean_in_cache(void)
{
	char *p;
	size_t i;

	swap_begin(swap_disk);
	p = tagged_map(LEN, 1);
	page_out(p, LEN);
	touch_read(p, LEN);
	for (i = 0; i < LEN; i += PAGE)
		NEED(page_flag(p + i, KPF_SWAPCACHE), "page %zu is not in the swap cache",
		     i / PAGE);
	pattern_check(p, LEN, 1, "read in");
	return p;
}

static void retag_check(char *p, uint64_t seed, const char *when)
{
	pattern_check_tags(p, LEN, seed, when);
	pattern_check_data(p, LEN, 1, when);
}

/*
 * Before 143937ca51cc a writable page that was swapped in is dirty from the start
 * (arch/arm64 pte_mkwrite_novma()): it is written again, and never dropped clean.
 */
static void dropped_clean(void)
{
	char *p = clean_in_cache();
	long before = vmstat("pswpout");
	int i;

	for (i = 0; i < 3; i++) {
		page_out(p, LEN);
		stale_fill(STALE_SMALL, false);
		pattern_check(p, LEN, 1, "dropped clean and read in");
	}
	NEED(vmstat("pswpout") - before < (long)(LEN / PAGE), "the pages were written again");
}

static void retagged(void)
{
	char *p = clean_in_cache();
	uint64_t seed;

	for (seed = 2; seed < 6; seed++) {
		pattern_set_tags(p, LEN, seed);
		page_out(p, LEN);
		stale_fill(STALE_SMALL, false);
		touch_read(p, LEN);
		retag_check(p, seed, "retagged in the swap cache, swapped again");
	}
}

/* One granule of each page gets tag 0: the smallest change must be saved. */
static void one_granule_retagged(void)
{
	char *p = clean_in_cache();
	size_t i;

	for (i = 0; i < LEN; i += PAGE)
		stg(p + i + PAGE - GRANULE, 0);
	page_out(p, LEN);
	for (i = 0; i < LEN; i += PAGE) {
		size_t g = (i + PAGE - GRANULE) / GRANULE;

		CHECK_EQ(ldg(p + g * GRANULE), 0, "the granule retagged in page %zu", i / PAGE);
		stg(p + g * GRANULE, pattern_tag(1, g));
	}
	pattern_check(p, LEN, 1, "after that tag was restored");
}

/*
 * The pages are retagged and unmapped by reclaim, but not written, because a pipe holds a
 * reference to them (pageout() skips such a folio). The fault finds the page in the swap
 * cache, and older tags saved for its entry.
 */
static void retagged_not_written(void)
{
	char *p = clean_in_cache();
	struct iovec part = { p, LEN };
	int ends[2];

	pattern_set_tags(p, LEN, 2);
	MUST(pipe(ends) == 0 && vmsplice(ends[1], &part, 1, 0) == (ssize_t)LEN, "vmsplice");
	MUST(madvise(p, LEN, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	NEED(pagemap_count(p, LEN, PM_SWAP) == LEN / PAGE, "%zu of %zu pages are swap entries",
	     pagemap_count(p, LEN, PM_SWAP), LEN / PAGE);
	NEED(pages_in_memory(p, LEN) == LEN / PAGE, "pages left the swap cache");
	retag_check(p, 2, "retagged, unmapped, faulted in");
}

/* Faults on pages that may still be under writeback. */
static void fault_during_write(void)
{
	size_t unmapped = 0;
	char *p;
	uint64_t seed;

	swap_begin(swap_disk);
	p = mte_map(LEN);
	for (seed = 1; seed < 20; seed++) {
		pattern_set(p, LEN, seed);
		MUST(madvise(p, LEN, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
		/* Reclaim skips pages that are still under writeback. */
		unmapped += pagemap_count(p, LEN, PM_SWAP);
		if (seed % 2)
			touch_write(p, LEN);
		pattern_check(p, LEN, seed, "faulted in during the write");
	}
	NEED(unmapped >= LEN / PAGE, "only %zu pages were unmapped in all rounds", unmapped);
	page_out(p, LEN);
	pattern_check(p, LEN, seed - 1, "swapped out and in again");
}

/* After swapoff the pages are retagged and swapped out again, to new entries. */
static void entry_dropped(void)
{
	char *p = clean_in_cache();

	swap_none();
	swap_disk();
	pattern_set_tags(p, LEN, 3);
	page_out(p, LEN);
	retag_check(p, 3, "after swapoff and swapon");
}

PROBE(CASE(dropped_clean), CASE(retagged), CASE(one_granule_retagged), CASE(retagged_not_written),
      CASE(fault_during_write), CASE(entry_dropped));
