/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_large
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_THP_SWAP CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * since: 6.8 3485b88390b0
 * disk: singly_disk swapoff_large from_swap_cache huge_page shmem_folio
 * timeout: 60
 *
 * A large folio that is swapped out as one: arch_prepare_to_swap() saves the tags of each
 * of its pages under the entry of that page. The pages are swapped in one by one (from
 * disk), or many as one folio (from zram: alloc_swap_folio(), mm/memory.c), for which
 * arch_swap_restore() walks pages and entries together.
 */
#include "fault.h"
#include "stale.h"
#include "swap.h"

static void folios(const char *mode)
{
	folio_write(FOLIO, "enabled", mode);
}

/* `count` tagged folios of 16 pages, swapped out as a whole. */
static char *large_out(size_t count)
{
	char *p;
	size_t i, len = count * FOLIO;

	folios("always");
	p = aligned_map(len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	pattern_set(p, len, 1);
	folios("never");
	for (i = 0; i < len; i += FOLIO)
		NEED(in_large_folio(p + i), "folio %zu is not large", i / FOLIO);
	page_out(p, len);
	for (i = 0; i < len; i += PAGE)
		NEED(swap_offset_of(p + i) ==
			     swap_offset_of(p + i / FOLIO * FOLIO) + (i & (FOLIO - 1)) / PAGE,
		     "swap offset of page %zu does not follow from its folio's", i / PAGE);
	return p;
}

/* Swap-in page by page, the last page of each folio first. */
static void in_singly(void (*device)(void))
{
	size_t i, len = 4 * FOLIO, at;
	char *p;

	swap_begin(device);
	p = large_out(4);
	stale_fill(STALE_SMALL, false);
	for (i = 0; i < len; i += PAGE) {
		at = i / FOLIO * FOLIO + (15 - (i & (FOLIO - 1)) / PAGE) * PAGE;
		pattern_check_from(p + at, PAGE, 1, at / GRANULE, "one page of a large folio");
		NEED(!in_large_folio(p + at), "page %zu came in with its folio", at / PAGE);
	}
	pattern_check(p, len, 1, "all pages");
}

static void singly_disk(void)
{
	in_singly(swap_ssd);
}

static void singly_zram(void)
{
	in_singly(swap_zram);
}

/* From zram, with the folio size enabled, one fault swaps in the whole folio. */
static void in_as_one(size_t touch, bool write)
{
	char *p;
	size_t i, len = 4 * FOLIO;

	swap_begin(swap_zram);
	p = large_out(4);
	stale_fill(STALE_SMALL, false);
	folios("always");
	for (i = 0; i < len; i += FOLIO) {
		if (write)
			touch_write(p + i + touch * PAGE, PAGE);
		else
			touch_read(p + i + touch * PAGE, PAGE);
	}
	folios("never");
	NEED(pagemap_count(p, len, PM_PRESENT) == len / PAGE && in_large_folio(p),
	     "%zu of %zu pages came in", pagemap_count(p, len, PM_PRESENT), len / PAGE);
	pattern_check(p, len, 1, "swapped in as one folio");
	pattern_set(p, len, 2);
	page_out(p, len);
	pattern_check(p, len, 2, "swapped in once more");
}

static void as_one_first_page(void)
{
	in_as_one(0, false);
}

static void as_one_last_page(void)
{
	in_as_one(15, true);
}

static void as_one_inner_page(void)
{
	in_as_one(6, true);
}

/* Pages of a folio that are swapped out one by one. */
static void small_in_as_one(void)
{
	char *p, *at;
	size_t i;

	swap_begin(swap_zram);
	p = large_out(1);
	folios("always");
	touch_write(p + 3 * PAGE, PAGE);
	folios("never");
	NEED(in_large_folio(p), "not swapped in as one folio");
	/* Part of the folio is unmapped; the rest is swapped out and in. */
	at = p + 5 * PAGE;
	MUST(munmap(at, 2 * PAGE) == 0, "munmap");
	page_out(p, 5 * PAGE);
	page_out(p + 7 * PAGE, 9 * PAGE);
	folios("always");
	for (i = 0; i < 16; i++)
		if (i < 5 || i > 6)
			pattern_check_from(p + i * PAGE, PAGE, 1, i * GRANULES_PER_PAGE,
					   "the rest of a folio");
	folios("never");
}

/* Only some pages of the folio are PROT_MTE, and so tagged. */
static void half_tagged(void)
{
	int tries;
	char *p;

	swap_begin(swap_zram);
	stale_fill(STALE_SMALL, false);
	folios("always");
	p = aligned_map(FOLIO, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	touch_write(p, FOLIO);
	folios("never");
	NEED(in_large_folio(p), "not a large folio");
	MUST(mprotect(p + 8 * PAGE, 4 * PAGE, PROT_RW_MTE) == 0, "mprotect");
	pattern_set(p + 8 * PAGE, 4 * PAGE, 1);
	/* Not MADV_PAGEOUT, which works VMA by VMA and would split the folio. */
	for (tries = 0; tries < 50 && pages_in_memory(p, FOLIO); tries++)
		memcg_reclaim(1UL << 20);
	NEED(pagemap_count(p, FOLIO, PM_SWAP) == 16 &&
		     swap_offset_of(p + 15 * PAGE) == swap_offset_of(p) + 15,
	     "not swapped as one folio");
	pattern_check(p + 8 * PAGE, 4 * PAGE, 1, "the tagged part");
	MUST(mprotect(p, FOLIO, PROT_RW_MTE) == 0, "mprotect");
	tags_zero_check(p, 8 * PAGE, "the part before");
	tags_zero_check(p + 12 * PAGE, 4 * PAGE, "the part after");
}

static void swapoff_large(void)
{
	char *p;

	swap_begin(swap_ssd);
	p = large_out(4);
	stale_fill(STALE_SMALL, false);
	swap_none();
	pattern_check(p, 4 * FOLIO, 1, "swapoff of large folios");
}

/* Faults while the whole folio is still in the swap cache. */
static void from_swap_cache(void)
{
	char *p;

	swap_begin(swap_ssd);
	folios("always");
	p = aligned_map(2 * FOLIO, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	pattern_set(p, 2 * FOLIO, 1);
	folios("never");
	MUST(madvise(p, 2 * FOLIO, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	NEED(pagemap_count(p, 2 * FOLIO, PM_SWAP) == 32, "not unmapped");
	wait_writeback();
	MUST(madvise(p + PAGE, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	touch_write(p + FOLIO + 9 * PAGE, PAGE);
	pattern_check(p, PAGE, 1, "page 0 from the swap cache");
	tags_zero_check(p + PAGE, PAGE, "a page dropped while swapped out");
	pattern_check_from(p + 2 * PAGE, 2 * FOLIO - 2 * PAGE, 1, 2 * GRANULES_PER_PAGE,
			   "the rest from the swap cache");
}

static void huge_page(void)
{
	long before = vmstat("thp_swpout");
	char *p;

	swap_begin(swap_ssd);
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, 1);
	page_out(p, HUGE);
	NEED(vmstat("thp_swpout") == before + 1, "the huge page was split");
	pattern_check(p, HUGE, 1, "huge page, swapped in page by page");
}

/* A huge page of shared memory, mapped page by page. */
static void shmem_folio(void)
{
	char *p;
	int fd = memfd_create("probe", MFD_CLOEXEC);

	swap_begin(swap_ssd);
	folio_write(FOLIO, "shmem_enabled", "always");
	MUST(fd >= 0 && ftruncate(fd, 4 * FOLIO) == 0, "memfd_create");
	p = aligned_map(4 * FOLIO, PROT_RW_MTE, MAP_SHARED, fd);
	pattern_set(p, 4 * FOLIO, 1);
	folio_write(FOLIO, "shmem_enabled", "never");
	NEED(in_large_folio(p), "not a large folio");
	page_out(p, 4 * FOLIO);
	stale_fill(STALE_SMALL, false);
	pattern_check_from(p + 3 * FOLIO + 7 * PAGE, PAGE, 1, (3 * FOLIO + 7 * PAGE) / GRANULE,
			   "one page of a large shared folio");
	pattern_check(p, 4 * FOLIO, 1, "a large shared folio");
}

PROBE(CASE(singly_disk), CASE(singly_zram), CASE(as_one_first_page), CASE(as_one_last_page),
      CASE(as_one_inner_page), CASE(small_in_as_one), CASE(half_tagged), CASE(swapoff_large),
      CASE(from_swap_cache), CASE(huge_page), CASE(shmem_folio));
