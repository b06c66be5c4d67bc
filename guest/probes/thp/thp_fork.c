/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_fork
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR
 * pages: 4K 16K
 * timeout: 60
 *
 * A tagged huge page shared by fork: parent and child see its tags, a write copies the
 * tags with the data, and neither sees the other's writes. Exercises copy_huge_pmd(),
 * do_huge_pmd_wp_page() (reuse of the page, and the fall-back that splits the PMD and
 * copies small pages), wp_page_copy() and copy_highpage().
 */
#include "reuse.h"
#include "stale.h"

enum { PARENT = 1, CHILD = 2 };

static char *tagged_thp(void)
{
	char *p;

	mte_need();
	pin_cpu(0);
	stale_fill(8 * STALE_SMALL, false);
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, PARENT);
	return p;
}

static void write_in_child(char *p)
{
	need_huge(p, HUGE, 1);
	pattern_check(p, HUGE, PARENT, "child before it writes");
	stg(p + 10 * PAGE, 0); /* copies page 10 */
	*(volatile char *)(p + 11 * PAGE) = 0; /* and page 11 */
	need_stale(p + 10 * PAGE, 2 * PAGE, "copies of pages 10 and 11");
	pattern_check(p, 10 * PAGE, PARENT, "child, pages before");
	pattern_check_from(p + 10 * PAGE + GRANULE, PAGE - GRANULE, PARENT,
			   10 * GRANULES_PER_PAGE + 1, "copy by STG");
	pattern_check_from(p + 11 * PAGE + GRANULE, HUGE - 11 * PAGE - GRANULE, PARENT,
			   11 * GRANULES_PER_PAGE + 1, "copy by a store, and after");
	CHECK_EQ(ldg(p + 11 * PAGE), pattern_tag(PARENT, 11 * GRANULES_PER_PAGE),
		 "tag of the granule stored to");
	pattern_set(p, HUGE, CHILD);
	pattern_check(p, HUGE, CHILD, "child, all pages copied");
}

static void child_writes(void)
{
	char *p = tagged_thp();

	run_child(write_in_child, p);
	pattern_check(p, HUGE, PARENT, "parent");
}

static void check_parents_tags(char *p)
{
	pattern_check(p, HUGE, PARENT, "child, after the parent wrote");
}

static void parent_writes(void)
{
	char *p = tagged_thp();
	struct held_child child = hold_child(check_parents_tags, p);

	pattern_set(p, HUGE, CHILD);
	release_child(&child);
	pattern_check(p, HUGE, CHILD, "parent");
}

static void nothing(char *p)
{
	(void)p;
}

/* The child has exited: the parent reuses the huge page without a copy. */
static void reuse(void)
{
	char *p = tagged_thp();
	uint64_t frame = pfn_of(p);

	run_child(nothing, p);
	stg(p, 0);
	need_huge(p, HUGE, 1);
	NEED(pfn_of(p) == frame, "copied, not reused");
	pattern_check_from(p + GRANULE, HUGE - GRANULE, PARENT, 1, "reused");
}

enum { THIRD = HUGE_PAGES / 3 * PAGE };

static void tag_last_third(char *p)
{
	pattern_set(p + 2 * THIRD, THIRD, 4);
	pattern_check(p, THIRD, PARENT, "grandchild, first third");
	pattern_check(p + THIRD, THIRD, 3, "grandchild, second third");
	pattern_check(p + 2 * THIRD, THIRD, 4, "grandchild, last third");
}

static void tag_second_third(char *p)
{
	pattern_set(p + THIRD, THIRD, 3);
	run_child(tag_last_third, p);
	pattern_check(p + THIRD, THIRD, 3, "child, second third");
	pattern_check_from(p + 2 * THIRD, THIRD, PARENT, 2 * THIRD / GRANULE, "child, last third");
}

/* Child and grandchild each set tags in a third of the page. */
static void grandchild(void)
{
	char *p = tagged_thp();

	run_child(tag_second_third, p);
	pattern_check(p, HUGE, PARENT, "parent");
}

static void check_wiped(char *p)
{
	*(volatile char *)p = 0;
	need_huge(p, HUGE, 1);
	tags_zero_check(p, HUGE, "wiped in the child");
	pattern_set(p, HUGE, CHILD);
	pattern_check(p, HUGE, CHILD, "child");
}

/* MADV_WIPEONFORK: the child gets zero data and zero tags, the parent keeps its own. */
static void wipe_on_fork(void)
{
	char *p = tagged_thp();

	MUST(madvise(p, HUGE, MADV_WIPEONFORK) == 0, "MADV_WIPEONFORK");
	run_child(check_wiped, p);
	pattern_check(p, HUGE, PARENT, "parent");
}

PROBE(CASE_SECONDS(child_writes, 20), CASE_SECONDS(parent_writes, 20), CASE_SECONDS(reuse, 20),
      CASE_SECONDS(grandchild, 20), CASE_SECONDS(wipe_on_fork, 20));
