/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_multi_size
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_DEBUG_FS
 * pages: 4K 16K
 * since: 6.8 3485b88390b0
 * destructive: split_and_move
 * timeout: 60
 *
 * Folios of 16 pages are mapped by one set_ptes() call with nr 16, and where a page has 4 KiB
 * as a contiguous range (contpte): mte_sync_tags() must clear the stale tags of each page.
 * fork, copy-on-write, mprotect(), splitting, migration, swap and collapse must keep tags
 * and data as they do for small pages.
 */
#include "fault.h"
#include "stale.h"
#include "swap.h"

#define LEN (16 * FOLIO)

static void begin(void)
{
	mte_need();
	pin_cpu(0);
	thp_sizes("always", "never");
}

/* Memory of folios of 16 pages, each populated by one write. */
static char *folios(int prot)
{
	size_t i;
	char *p;

	begin();
	p = aligned_map(LEN, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < LEN; i += FOLIO)
		*(volatile char *)(p + i + 5 * PAGE) = 0;
	NEED(pagemap_count(p, LEN, PM_PRESENT) == LEN / PAGE, "faults did not map whole folios");
	NEED(page_flag(p + FOLIO, KPF_COMPOUND_HEAD) &&
		     page_flag(p + 2 * FOLIO - PAGE, KPF_COMPOUND_TAIL),
	     "no folio of 16 pages");
	return p;
}

/* The same in stale frames. */
static char *stale_folios(int prot)
{
	char *p;

	begin();
	stale_fill_folios(FOLIO, LEN / FOLIO);
	p = folios(prot);
	need_stale(p, LEN, "folios");
	return p;
}

static void fresh(void)
{
	char *p = stale_folios(PROT_RW_MTE);

	tags_zero_check(p, LEN, "fresh folios of 16 pages");
	pattern_set(p, LEN, 1);
	pattern_check(p, LEN, 1, "tagged");
}

static void mprotect_populated(void)
{
	char *p = stale_folios(PROT_RW);

	memset(p, 0x3c, LEN);
	check_made_tagged(p, LEN, 0x3c, "after mprotect(PROT_MTE)");
	pattern_set(p, LEN, 2);
	MUST(mprotect(p, LEN, PROT_NONE) == 0 && mprotect(p, LEN, PROT_RW) == 0,
	     "mprotect(PROT_NONE), then PROT_RW");
	pattern_check(p, LEN, 2, "tagged, after mprotect(PROT_NONE)");
}

/* mprotect() of pages 3 to 20, which are parts of two folios. */
static void mprotect_part(void)
{
	char *p = stale_folios(PROT_RW), *at = p + 3 * PAGE;

	MUST(mprotect(at, 18 * PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE) of a part");
	tags_zero_check(at, 18 * PAGE, "the part");
	pattern_set(at, 18 * PAGE, 3);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE) of all");
	pattern_check(at, 18 * PAGE, 3, "the part, tagged");
	tags_zero_check(p, 3 * PAGE, "pages before");
	tags_zero_check(p + 21 * PAGE, LEN - 21 * PAGE, "pages after");
}

static void write_in_child(char *p)
{
	pattern_check(p, LEN, 4, "child before it writes");
	pattern_set(p + 7 * PAGE, 20 * PAGE, 5);
	pattern_check(p, 7 * PAGE, 4, "child, pages before");
	pattern_check(p + 7 * PAGE, 20 * PAGE, 5, "child's copies");
	pattern_check_from(p + 27 * PAGE, LEN - 27 * PAGE, 4, 27 * GRANULES_PER_PAGE,
			   "child, pages after");
}

static void fork_and_write(void)
{
	char *p = folios(PROT_RW_MTE);

	pattern_set(p, LEN, 4);
	run_child(write_in_child, p);
	pattern_check(p, LEN, 4, "parent");
	pattern_set(p, LEN, 6);
	pattern_check(p, LEN, 6, "parent, tagged anew");
}

static void dontneed_part(void)
{
	char *p = stale_folios(PROT_RW_MTE);
	size_t i;

	pattern_set(p, LEN, 7);
	MUST(madvise(p + 9 * PAGE, 30 * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	for (i = 9; i < 39; i++) {
		stg(p + i * PAGE, 0);
		page_zero_check(p + i * PAGE, "dropped part");
	}
	pattern_check(p, 9 * PAGE, 7, "part before");
	pattern_check_from(p + 39 * PAGE, LEN - 39 * PAGE, 7, 39 * GRANULES_PER_PAGE, "part after");
}

static void split_and_move(void)
{
	char *p = folios(PROT_RW_MTE);

	pattern_set(p, LEN, 8);
	move_page(p + 20 * PAGE); /* splits its folio, then migrates the page */
	NEED(!in_large_folio(p + 20 * PAGE), "page 20 is still part of a large folio");
	pattern_check(p, LEN, 8, "one folio split, one page migrated");
	thp_split(p, LEN, 0);
	pattern_check(p, LEN, 8, "all split");
	stg(p + 33 * PAGE, 0);
	pattern_check_from(p + 33 * PAGE + GRANULE, PAGE - GRANULE, 8, 33 * GRANULES_PER_PAGE + 1,
			   "written after the split");
}

static void mremap_unaligned(void)
{
	char *p = folios(PROT_RW_MTE), *to;

	pattern_set(p, LEN, 9);
	to = aligned_map(LEN + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	to += PAGE;
	MUST(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	pattern_check(to, LEN, 9, "moved");
	pattern_set(to, LEN, 10);
	pattern_check(to, LEN, 10, "tagged anew");
}

/*
 * Swap-in from zram: alloc_swap_folio() allocates one folio for 16 pages, and
 * arch_swap_restore() must restore 16 pages from 16 entries.
 */
static void swap_in_as_folio(void)
{
	char *p;

	/* arch/arm64/Kconfig selects ARCH_WANTS_THP_SWAP for pages of 4 KiB. */
	PAGES_UP_TO(4, "no folio is swapped out as a whole");
	memcg_enter();
	swap_zram();
	p = folios(PROT_RW_MTE);
	pattern_set(p, LEN, 11);
	page_out(p, LEN);
	(void)*(volatile char *)(p + 37 * PAGE);
	NEED(pagemap_count(p + 2 * FOLIO, FOLIO, PM_PRESENT) == 16 && in_large_folio(p + 37 * PAGE),
	     "not brought back as a folio of 16 pages");
	pattern_check(p, LEN, 11, "from swap");
}

/* Folios and a few small pages become one huge page. */
static void collapse(void)
{
	char *p;

	folios(PROT_RW_MTE);
	p = aligned_map(HUGE, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	pattern_set(p, HUGE, 12);
	NEED(in_large_folio(p + 100 * PAGE), "no folios of 16 pages");
	need_huge(p, HUGE, 0);
	MUST(madvise(p + 50 * PAGE, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	stale_fill(4 * HUGE, true);
	thp_collapse(p);
	pattern_check(p, 50 * PAGE, 12, "collapsed, before the hole");
	page_zero_check(p + 50 * PAGE, "the hole");
	pattern_check_from(p + 51 * PAGE, HUGE - 51 * PAGE, 12, 51 * GRANULES_PER_PAGE,
			   "collapsed, after the hole");
}

PROBE(CASE_SECONDS(fresh, 20), CASE_SECONDS(mprotect_populated, 20),
      CASE_SECONDS(mprotect_part, 20), CASE_SECONDS(fork_and_write, 20),
      CASE_SECONDS(dontneed_part, 20), CASE_SECONDS(split_and_move, 20),
      CASE_SECONDS(mremap_unaligned, 20), CASE_SECONDS(swap_in_as_folio, 20),
      CASE_SECONDS(collapse, 20));
