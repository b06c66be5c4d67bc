/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_split
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_DEBUG_FS CONFIG_MEMORY_FAILURE CONFIG_MEMCG CONFIG_SWAP
 * pages: 4K 16K
 * newer: 6.9 fc4d182316bd into_order_2
 * destructive: by_debugfs into_order_2 by_pageout_of_part
 * timeout: 60
 * smoke: yes
 *
 * Splitting a huge page keeps tags and data of each of its pages, by whichever way it
 * is split, and the small pages are tagged pages like any other: they take new tags, and
 * copies and migration keep the tags. Checks that __split_huge_page_tail() copies the
 * flags PG_arch_2 and PG_arch_3 to each page: remap_page() clears the tags of a page
 * without them when it sets its PTE.
 */
#include "stale.h"
#include "swap.h"

static char *tagged_thp(uint64_t seed)
{
	char *p = stale_thp(1, PROT_RW_MTE);

	pattern_set(p, HUGE, seed);
	return p;
}

/* Checks, tags, copies and migrates pages after the split. */
static void use_split_pages(char *p, uint64_t seed)
{
	pid_t child;

	NEED(!in_large_folio(p) && !in_large_folio(p + 300 * PAGE), "not split");
	pattern_check(p, HUGE, seed, "after the split");
	pattern_set(p + 3 * PAGE, 2 * PAGE, seed + 1);

	child = child_fork();
	if (child == 0) {
		pattern_set(p + 200 * PAGE, 2 * PAGE, seed + 2); /* copy-on-write */
		pattern_check(p + 200 * PAGE, 2 * PAGE, seed + 2, "child's copy");
		pattern_check(p + 3 * PAGE, 2 * PAGE, seed + 1, "new tags in the child");
		_exit(0);
	}
	wait_child(child);
	move_page(p + 3 * PAGE);
	move_page(p + HUGE - PAGE);
	pattern_check(p + 3 * PAGE, 2 * PAGE, seed + 1, "new tags after the split");
	pattern_check(p, 3 * PAGE, seed, "pages before");
	pattern_check_from(p + 5 * PAGE, HUGE - 5 * PAGE, seed, 5 * GRANULES_PER_PAGE,
			   "pages after");
}

static void by_debugfs(void)
{
	char *p = tagged_thp(11);

	thp_split(p, HUGE, 0);
	use_split_pages(p, 11);
}

/* Into folios of 4 pages: flags are copied to their heads, those of their tails stay. */
static void into_order_2(void)
{
	char *p = tagged_thp(12);

	thp_split(p, HUGE, 2);
	NEED(in_large_folio(p + 4 * PAGE) && page_flag(p + 4 * PAGE, KPF_COMPOUND_HEAD),
	     "page 4 is no head of a folio");
	pattern_check(p, HUGE, 12, "after the split into folios of 4 pages");
	thp_split(p, HUGE, 0);
	use_split_pages(p, 12);
}

static void by_pageout_of_part(void)
{
	char *p = tagged_thp(13);

	MUST(madvise(p + 20 * PAGE, 8 * PAGE, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	use_split_pages(p, 13);
}

/* munmap() of a part defers the split to the shrinker of this case's cgroup. */
static void deferred(void)
{
	char *p;
	int i;

	swap_none();
	memcg_enter();
	p = tagged_thp(14);
	MUST(munmap(p + 400 * PAGE, 100 * PAGE) == 0, "munmap");
	pattern_check(p, 400 * PAGE, 14, "before the deferred split");
	for (i = 0; i < 50 && in_large_folio(p); i++)
		memcg_reclaim(HUGE);
	NEED(!in_large_folio(p), "not split by the shrinker");
	pattern_check(p, 400 * PAGE, 14, "after the deferred split");
	pattern_check_from(p + 500 * PAGE, HUGE - 500 * PAGE, 14, 500 * GRANULES_PER_PAGE,
			   "after the hole");
	pattern_set(p, 400 * PAGE, 15);
	pattern_check(p, 400 * PAGE, 15, "new tags");
}

/* mprotect() of a part splits only the PMD: PTEs map one folio, which is split later. */
static void by_mprotect_of_part(void)
{
	char *p = tagged_thp(16);

	MUST(mprotect(p + 64 * PAGE, 64 * PAGE, PROT_READ | PROT_MTE) == 0, "mprotect");
	need_huge(p, HUGE, 0);
	NEED(in_large_folio(p), "the folio was split, not the PMD only");
	pattern_check(p, HUGE, 16, "after mprotect of a part");
	pattern_set(p + 128 * PAGE, PAGE, 17);
	pattern_check(p + 128 * PAGE, PAGE, 17, "new tags");
	pattern_set(p, 129 * PAGE - 65 * PAGE, 16);
	thp_split(p, HUGE, 0);
	pattern_check(p, 128 * PAGE, 16, "after the folio's split");
	pattern_check(p + 128 * PAGE, PAGE, 17, "new tags after the folio's split");
	pattern_check_from(p + 129 * PAGE, HUGE - 129 * PAGE, 16, 129 * GRANULES_PER_PAGE,
			   "the rest");
}

static void check_split(char *p)
{
	pattern_check(p, HUGE, 18, "child, after the parent's split");
}

/* Two processes map the folio: the split unmaps it and maps it again in both. */
static void shared_by_fork(void)
{
	char *p = tagged_thp(18);
	struct held_child child = hold_child(check_split, p);

	thp_split(p, HUGE, 0);
	pattern_check(p, HUGE, 18, "parent");
	pattern_set(p, HUGE, 19);
	release_child(&child);
	pattern_check(p, HUGE, 19, "parent's copy");
}

/* Punching a hole into a huge page of a memfd splits it; faults map the rest again. */
static void memfd(void)
{
	int fd = memory_file(HUGE);
	char *p;

	mte_need();
	pin_cpu(0);
	stale_fill(4 * HUGE, true);
	thp_sizes("never", "always");
	p = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, fd);
	pattern_set(p, HUGE, 20);
	need_huge(p, HUGE, 1);
	MUST(fallocate(fd, 3 /* FALLOC_FL_PUNCH_HOLE | KEEP_SIZE */, 64 * PAGE, 8 * PAGE) == 0,
	     "fallocate");
	pattern_check(p, 64 * PAGE, 20, "before the hole");
	thp_split(p, HUGE, 0); /* in case a reference to the folio prevented the split */
	pattern_check_from(p + 72 * PAGE, HUGE - 72 * PAGE, 20, 72 * GRANULES_PER_PAGE,
			   "after the hole");
	tags_zero_check(p + 64 * PAGE, 8 * PAGE, "the hole");
}

PROBE(CASE_SECONDS(by_debugfs, 20), CASE_SECONDS(into_order_2, 20),
      CASE_SECONDS(by_pageout_of_part, 20), CASE_SECONDS(deferred, 20),
      CASE_SECONDS(by_mprotect_of_part, 20), CASE_SECONDS(shared_by_fork, 20),
      CASE_SECONDS(memfd, 20));
