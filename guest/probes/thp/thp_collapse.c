/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_collapse
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG
 * timeout: 90
 * smoke: yes
 *
 * Collapsing small anonymous pages into a huge one keeps tags and data of each
 * page; pages that were not there, or were the zero page, have tag 0 and zero
 * data in a huge page whose frames held stale tags. By madvise and khugepaged:
 * __collapse_huge_page_copy(), __collapse_huge_page_swapin(), set_pmd_at().
 */
#include "stale.h"
#include "swap.h"

#define KHUGEPAGED THP_SYSFS "khugepaged/"

/* Room for a huge page that faults fill with small pages. */
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
	MUST(madvise(p, HUGE, MADV_COLLAPSE) == 0, "MADV_COLLAPSE");
	must_be_huge(p, HUGE, 1);
}

static void all_present(void)
{
	char *p = small_pages(PROT_RW_MTE);

	pattern_set(p, HUGE, 1);
	must_be_huge(p, HUGE, 0);
	collapse(p);
	pattern_check(p, HUGE, 1, "collapsed");
	pattern_set(p, HUGE, 2);
	pattern_check(p, HUGE, 2, "tagged anew");
	thp_split(p, HUGE, 0);
	pattern_check(p, HUGE, 2, "split again");
}

/* Every page numbered 1 mod 4 is absent, 2 mod 8 the zero page. */
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
	MUST(page_flag(p + 2 * PAGE, KPF_ZERO_PAGE), "page 2 is not the zero page");
	MUST(!page_present(p + PAGE), "page 1 is present");
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
	must_be_stale(p + PAGE, PAGE, "hole at page 1");
	must_be_stale(p + 2 * PAGE, PAGE, "hole at page 2");
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

static void shared_by_fork(void)
{
	char *p = small_pages(PROT_RW_MTE);
	int ask[2];
	pid_t child;
	char c;

	pattern_set(p, HUGE, 4);
	MUST(pipe(ask) == 0, "pipe");
	child = child_fork();
	MUST(child >= 0, "fork");
	if (child == 0) {
		close(ask[1]);
		MUST(read(ask[0], &c, 1) == 0, "read");
		pattern_check(p, HUGE, 4, "child");
		_exit(0);
	}
	pattern_set(p, PAGE, 4); /* one page must be writable */
	collapse(p);
	pattern_check(p, HUGE, 4, "parent, collapsed");
	pattern_set(p, HUGE, 5);
	close(ask[1]);
	wait_child(child);
	pattern_check(p, HUGE, 5, "parent, tagged anew");
}

/* Without PROT_MTE nothing initialises the tags of the huge page: mprotect() must. */
static void untagged_then_mprotect(void)
{
	char *p = small_pages(PROT_RW);

	memset(p, 0x5a, HUGE);
	collapse(p);
	must_be_stale(p, HUGE, "collapsed huge page");
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, HUGE, "after mprotect(PROT_MTE)");
	CHECK_EQ(other_bytes(p, 0x5a, HUGE), 0, "bytes that changed");
}

/* khugepaged works through the same, on its own. */
static void khugepaged(void)
{
	char *p;
	int i;

	memcg_enter();
	swap_zram();
	p = small_pages(PROT_RW_MTE);
	write_file(KHUGEPAGED "scan_sleep_millisecs", "10");
	write_file(KHUGEPAGED "alloc_sleep_millisecs", "10");
	write_file(KHUGEPAGED "pages_to_scan", "4096");
	write_file(KHUGEPAGED "max_ptes_none", "511");
	populate_some(p, 2000);
	page_out(p + 46 * PAGE, 3 * PAGE);
	for (i = 49; i < (int)HUGE_PAGES; i++) /* it wants half of the pages young */
		if (has_tags(i))
			ldg(p + i * PAGE);
	MUST(page_swapped(p + 48 * PAGE), "page 48 is not in swap");
	stale_fill(4 * HUGE, true);
	MUST(madvise(p, HUGE, MADV_HUGEPAGE) == 0, "MADV_HUGEPAGE");
	for (i = 0; i < 1500 && smaps_kb(p, HUGE, "AnonHugePages") == 0; i++)
		usleep(10000);
	must_be_huge(p, HUGE, 1);
	check_some(p, 2000, "collapsed by khugepaged");
}

PROBE(CASE_SECONDS(all_present, 20), CASE_SECONDS(holes_and_zero_pages, 20),
      CASE_SECONDS(swapped_out, 20), CASE_SECONDS(shared_by_fork, 20),
      CASE_SECONDS(untagged_then_mprotect, 20), CASE_SECONDS(khugepaged, 30));
