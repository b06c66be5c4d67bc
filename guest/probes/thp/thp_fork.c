/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_fork
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * A tagged huge page shared by fork: both sides see its tags, a write copies
 * tags with data, and neither sees what the other writes. Exercises
 * copy_huge_pmd(), do_huge_pmd_wp_page() (reuse, and the fall-back that splits
 * the PMD and copies small pages), wp_page_copy() and copy_highpage().
 */
#include "reuse.h"
#include "stale.h"

enum { PARENT = 1, CHILD = 2 };

static char *tagged_thp(void)
{
	char *p;

	mte_need();
	pin_cpu(0);
	stale_fill(8 * HUGE, false);
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, PARENT);
	return p;
}

static void wait_for(pid_t child)
{

	wait_child(child);
}

static void child_writes(void)
{
	char *p = tagged_thp();
	pid_t child = child_fork();

	MUST(child >= 0, "fork");
	if (child == 0) {
		must_be_huge(p, HUGE, 1);
		pattern_check(p, HUGE, PARENT, "child before it writes");
		stg(p + 10 * PAGE, 0); /* copies page 10 */
		*(volatile char *)(p + 11 * PAGE) = 0; /* and page 11 */
		must_be_stale(p + 10 * PAGE, 2 * PAGE, "copies of pages 10 and 11");
		pattern_check(p, 10 * PAGE, PARENT, "child, pages before");
		pattern_check_from(p + 10 * PAGE + GRANULE, PAGE - GRANULE, PARENT,
				   10 * GRANULES_PER_PAGE + 1, "copy by STG");
		pattern_check_from(p + 11 * PAGE + GRANULE, HUGE - 11 * PAGE - GRANULE, PARENT,
				   11 * GRANULES_PER_PAGE + 1, "copy by a store, and after");
		CHECK_EQ(ldg(p + 11 * PAGE), pattern_tag(PARENT, 11 * GRANULES_PER_PAGE),
			 "tag of the granule stored to");
		pattern_set(p, HUGE, CHILD);
		pattern_check(p, HUGE, CHILD, "child, all pages copied");
		_exit(0);
	}
	wait_for(child);
	pattern_check(p, HUGE, PARENT, "parent");
}

static void parent_writes(void)
{
	char *p = tagged_thp();
	int ask[2];
	pid_t child;
	char c;

	MUST(pipe(ask) == 0, "pipe");
	child = child_fork();
	MUST(child >= 0, "fork");
	if (child == 0) {
		close(ask[1]);
		MUST(read(ask[0], &c, 1) == 0, "read");
		pattern_check(p, HUGE, PARENT, "child, after the parent wrote");
		_exit(0);
	}
	pattern_set(p, HUGE, CHILD);
	close(ask[1]);
	wait_for(child);
	pattern_check(p, HUGE, CHILD, "parent");
}

/* The child is gone: the parent takes the huge page back without a copy. */
static void reuse(void)
{
	char *p = tagged_thp();
	uint64_t frame = pfn_of(p);
	pid_t child = child_fork();

	MUST(child >= 0, "fork");
	if (child == 0)
		_exit(0);
	wait_for(child);
	stg(p, 0);
	must_be_huge(p, HUGE, 1);
	MUST(pfn_of(p) == frame, "copied, not reused");
	pattern_check_from(p + GRANULE, HUGE - GRANULE, PARENT, 1, "reused");
}

/* Two generations, each with tags of its own in a third of the page. */
static void grandchild(void)
{
	char *p = tagged_thp();
	size_t third = 170 * PAGE;
	pid_t child = child_fork();

	MUST(child >= 0, "fork");
	if (child == 0) {
		pid_t second;

		pattern_set(p + third, third, 3);
		second = child_fork();
		MUST(second >= 0, "fork");
		if (second == 0) {
			pattern_set(p + 2 * third, third, 4);
			pattern_check(p, third, PARENT, "grandchild, first third");
			pattern_check(p + third, third, 3, "grandchild, second third");
			pattern_check(p + 2 * third, third, 4, "grandchild, last third");
			_exit(0);
		}
		wait_for(second);
		pattern_check(p + third, third, 3, "child, second third");
		pattern_check_from(p + 2 * third, third, PARENT, 2 * third / GRANULE,
				   "child, last third");
		_exit(0);
	}
	wait_for(child);
	pattern_check(p, HUGE, PARENT, "parent");
}

/* MADV_WIPEONFORK: the child gets zero data and zero tags, the parent keeps its own. */
static void wipe_on_fork(void)
{
	char *p = tagged_thp();
	pid_t child;

	MUST(madvise(p, HUGE, MADV_WIPEONFORK) == 0, "MADV_WIPEONFORK");
	child = child_fork();
	MUST(child >= 0, "fork");
	if (child == 0) {
		*(volatile char *)p = 0;
		must_be_huge(p, HUGE, 1);
		tags_zero_check(p, HUGE, "wiped in the child");
		pattern_set(p, HUGE, CHILD);
		pattern_check(p, HUGE, CHILD, "child");
		_exit(0);
	}
	wait_for(child);
	pattern_check(p, HUGE, PARENT, "parent");
}

PROBE(CASE_SECONDS(child_writes, 20), CASE_SECONDS(parent_writes, 20), CASE_SECONDS(reuse, 20),
      CASE_SECONDS(grandchild, 20), CASE_SECONDS(wipe_on_fork, 20));
