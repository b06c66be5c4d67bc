/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_swap
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_THP_SWAP CONFIG_ZRAM CONFIG_MEMCG
 * pages: 4K 16K
 * since: 6.10 f238b8c33c67
 * disk: disk swapoff_brings_it_back
 * timeout: 90
 *
 * A huge page that is swapped out as a whole comes back with the tags of each of its
 * pages: arch_prepare_to_swap() saves all pages under consecutive entries, and
 * arch_swap_restore() restores all pages of a large folio. Data, tags and untagged pages
 * beside tagged ones come back as they were.
 */
#include "stale.h"
#include "swap.h"

/* A tagged huge page that is swapped out without being split. */
static char *thp_out(void (*swap_on)(void), uint64_t seed)
{
	long before;
	char *p;

	swap_begin(swap_on);
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, seed);
	before = vmstat("thp_swpout");
	page_out(p, HUGE);
	NEED(vmstat("thp_swpout") == before + 1, "the huge page was split for swap");
	return p;
}

static void disk(void)
{
	char *p = thp_out(swap_ssd, 1);

	stale_fill(8 * STALE_SMALL, false);
	pattern_check(p, HUGE, 1, "from the disk");
	need_stale(p, HUGE, "pages swapped in");
	pattern_set(p, HUGE, 2);
	page_out(p, HUGE);
	pattern_check(p, HUGE, 2, "swapped out and in again, as small pages");
}

static void zram(void)
{
	char *p = thp_out(swap_zram, 3);

	stale_fill(8 * STALE_SMALL, false);
	pattern_check(p, HUGE, 3, "from zram");
}

static void swapoff_brings_it_back(void)
{
	char *p = thp_out(swap_ssd, 4);

	swap_none();
	MUST(pagemap_count(p, HUGE, PM_SWAP) == 0, "still swapped");
	pattern_check(p, HUGE, 4, "after swapoff");
}

/* Swap-in of single pages, the last one first: each must get the tags of its own entry. */
static void page_by_page(void)
{
	char *p = thp_out(swap_zram, 5);
	size_t i;

	for (i = HUGE_PAGES; i-- > 0;)
		pattern_check_from(p + i * PAGE, PAGE, 5, i * GRANULES_PER_PAGE, "last page first");
}

static void check_shared(char *p)
{
	pattern_check(p, HUGE, 6, "child");
	pattern_set(p, HUGE, 7);
	pattern_check(p, HUGE, 7, "child's own");
}

static void shared_by_fork(void)
{
	char *p = thp_out(swap_zram, 6);

	run_child(check_shared, p);
	pattern_check(p, HUGE, 6, "parent");
}

/*
 * Only pages 200 to 299 are tagged, so only their entries have saved tags. Frames are
 * stale, so that a page whose tags are not restored is seen.
 */
static void tagged_in_the_middle(void)
{
	size_t first = 200, count = 100, i;
	long before, split;
	char *p;

	swap_begin(swap_zram);
	stale_fill(4 * HUGE, true);
	p = thp_alloc(1, PROT_RW);
	memset(p, 0x77, HUGE);
	MUST(mprotect(p + first * PAGE, count * PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	pattern_set(p + first * PAGE, count * PAGE, 8);
	before = vmstat("thp_swpout");
	split = vmstat("thp_swpout_fallback");
	for (i = 0; i < 200 && pagemap_count(p, HUGE, PM_SWAP) < HUGE_PAGES; i++)
		memcg_reclaim(HUGE);
	NEED(pagemap_count(p, HUGE, PM_SWAP) == HUGE_PAGES, "not all pages are swapped");
	NEED(vmstat("thp_swpout") > before && vmstat("thp_swpout_fallback") == split,
	     "the huge page was not swapped as a whole");
	stale_fill(8 * STALE_SMALL, false);
	pattern_check(p + first * PAGE, count * PAGE, 8, "tagged pages");
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE) of all");
	pattern_check(p + first * PAGE, count * PAGE, 8, "tagged pages, after mprotect");
	tags_zero_check(p, first * PAGE, "untagged pages before");
	tags_zero_check(p + (first + count) * PAGE, HUGE - (first + count) * PAGE,
			"untagged pages after");
	CHECK_EQ(other_bytes(p, 0x77, first * PAGE), 0, "bytes that changed");
}

PROBE(CASE_SECONDS(disk, 30), CASE_SECONDS(zram, 20), CASE_SECONDS(swapoff_brings_it_back, 20),
      CASE_SECONDS(page_by_page, 20), CASE_SECONDS(shared_by_fork, 20),
      CASE_SECONDS(tagged_in_the_middle, 30));
