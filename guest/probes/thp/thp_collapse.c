/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_collapse
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG
 * pages: 4K 16K
 * timeout: 90
 * smoke: yes
 *
 * Collapsing small anonymous pages into a huge page keeps tags and data of each page.
 * Pages that were not present, or were the zero page, have tag 0 and zero data in the huge
 * page, although its frames are stale. By MADV_COLLAPSE and by khugepaged:
 * __collapse_huge_page_copy(), __collapse_huge_page_swapin(), set_pmd_at().
 */
#include "stale.h"
#include "swap.h"

#define KHUGEPAGED THP_SYSFS "khugepaged/"

/* Maps memory for one huge page that faults populate with small pages. */
static char *small_pages(int prot)
{
	mte_need();
	pin_cpu(0);
	thp_sizes("never", "never");
	return aligned_map(HUGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void collapse(char *p)
{
	stale_fill(4 * HUGE, true);
	thp_collapse(p);
}

static void all_present(void)
{
	char *p = small_pages(PROT_RW_MTE);

	pattern_set(p, HUGE, 1);
	need_huge(p, HUGE, 0);
	collapse(p);
	pattern_check(p, HUGE, 1, "collapsed");
	pattern_set(p, HUGE, 2);
	pattern_check(p, HUGE, 2, "tagged anew");
	thp_split(p, HUGE, 0);
	pattern_check(p, HUGE, 2, "split again");
}

/* Pages 1 mod 4 are not present, pages 2 mod 8 are the zero page, the others are tagged. */
static bool has_tags(size_t page)
{
	return page % 4 != 1 && page % 8 != 2;
}

static void populate_some(char *p, uint64_t seed)
{
	size_t i;

	for (i = 0; i < HUGE_PAGES; i++) {
		if (has_tags(i))
			pattern_set(p + i * PAGE, PAGE, seed + i);
		else if (i % 8 == 2)
			MUST(*(volatile char *)(p + i * PAGE) == 0, "zero page");
	}
	NEED(page_flag(p + 2 * PAGE, KPF_ZERO_PAGE), "page 2 is not the zero page");
	NEED(!page_present(p + PAGE), "page 1 is present");
}

static void check_some(char *p, uint64_t seed, const char *when)
{
	size_t i;

	for (i = 0; i < HUGE_PAGES; i++) {
		if (has_tags(i))
			pattern_check(p + i * PAGE, PAGE, seed + i, when);
		else
			page_zero_check(p + i * PAGE, when);
	}
}

static void holes_and_zero_pages(void)
{
	char *p = small_pages(PROT_RW_MTE);

	populate_some(p, 100);
	collapse(p);
	need_stale(p + PAGE, PAGE, "hole at page 1");
	need_stale(p + 2 * PAGE, PAGE, "hole at page 2");
	check_some(p, 100, "collapsed with holes");
}

static void swapped_out(void)
{
	char *p;

	memcg_enter();
	swap_zram();
	p = small_pages(PROT_RW_MTE);
	pattern_set(p, HUGE, 3);
	page_out(p + 32 * PAGE, 64 * PAGE);
	collapse(p);
	pattern_check(p, HUGE, 3, "collapsed with pages from swap");
}

static void check_shared(char *p)
{
	pattern_check(p, HUGE, 4, "child");
}

static void shared_by_fork(void)
{
	char *p = small_pages(PROT_RW_MTE);
	struct held_child child;

	pattern_set(p, HUGE, 4);
	child = hold_child(check_shared, p);
	pattern_set(p, PAGE, 4); /* one page must be writable */
	collapse(p);
	pattern_check(p, HUGE, 4, "parent, collapsed");
	pattern_set(p, HUGE, 5);
	release_child(&child);
	pattern_check(p, HUGE, 5, "parent, tagged anew");
}

/* The collapse initialises no tags without PROT_MTE, so mprotect(PROT_MTE) must. */
static void untagged_then_mprotect(void)
{
	char *p = small_pages(PROT_RW);

	memset(p, 0x5a, HUGE);
	collapse(p);
	need_stale(p, HUGE, "collapsed huge page");
	check_made_tagged(p, HUGE, 0x5a, "after mprotect(PROT_MTE)");
}

/* khugepaged collapses pages with the same holes, and with swapped pages. */
static void khugepaged(void)
{
	char text[16], *p;
	int i;

	memcg_enter();
	swap_zram();
	p = small_pages(PROT_RW_MTE);
	write_file(KHUGEPAGED "scan_sleep_millisecs", "10");
	write_file(KHUGEPAGED "alloc_sleep_millisecs", "10");
	snprintf(text, sizeof(text), "%lu", 8 * HUGE_PAGES);
	write_file(KHUGEPAGED "pages_to_scan", text);
	snprintf(text, sizeof(text), "%lu", HUGE_PAGES - 1);
	write_file(KHUGEPAGED "max_ptes_none", text);
	populate_some(p, 2000);
	page_out(p + 46 * PAGE, 3 * PAGE);
	for (i = 49; i < (int)HUGE_PAGES; i++) /* khugepaged wants half of the pages to be young */
		if (has_tags(i))
			ldg(p + i * PAGE);
	NEED(page_swapped(p + 48 * PAGE), "page 48 is not in swap");
	stale_fill(4 * HUGE, true);
	MUST(madvise(p, HUGE, MADV_HUGEPAGE) == 0, "MADV_HUGEPAGE");
	for (i = 0; i < 1500 && smaps_kb(p, HUGE, "AnonHugePages") == 0; i++)
		usleep(10000);
	need_huge(p, HUGE, 1);
	check_some(p, 2000, "collapsed by khugepaged");
}

PROBE(CASE_SECONDS(all_present, 20), CASE_SECONDS(holes_and_zero_pages, 20),
      CASE_SECONDS(swapped_out, 20), CASE_SECONDS(shared_by_fork, 20),
      CASE_SECONDS(untagged_then_mprotect, 20), CASE_SECONDS(khugepaged, 30));
