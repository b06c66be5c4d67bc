/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_collapse_shmem
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_SHMEM CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG
 * pages: 4K 16K
 * timeout: 60
 *
 * Collapsing the pages of a memfd into a huge page keeps the tags that any process set,
 * also if the collapse is through a mapping without PROT_MTE, and if pages were swapped
 * out. Holes of the file have tag 0. Exercises collapse_file() with copy_mc_highpage(),
 * shmem_get_folio() and collapse_pte_mapped_thp().
 */
#include "fault.h"
#include "stale.h"
#include "swap.h"

static int memfd(size_t len)
{
	mte_need();
	pin_cpu(0);
	thp_sizes("never", "never");
	return memory_file(len);
}

static void collapse(char *p)
{
	stale_fill(4 * HUGE, true);
	thp_collapse(p);
}

static void all_present(void)
{
	int fd = memfd(HUGE);
	char *p = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, fd);
	char *other = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, fd);

	pattern_set(p, HUGE, 1);
	need_huge(p, HUGE, 0);
	pattern_check(other, HUGE, 1, "other mapping");
	collapse(p);
	pattern_check(p, HUGE, 1, "collapsed");
	pattern_check(other, HUGE, 1, "other mapping, collapsed");
	pattern_set(other, HUGE, 2);
	pattern_check(p, HUGE, 2, "tagged anew through the other mapping");
}

static void holes(void)
{
	int fd = memfd(HUGE);
	char *p = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, fd);
	size_t i;

	for (i = 0; i < HUGE_PAGES; i += 2)
		pattern_set(p + i * PAGE, PAGE, 100 + i);
	collapse(p);
	need_stale(p, HUGE, "collapsed huge page");
	for (i = 0; i < HUGE_PAGES; i += 2) {
		pattern_check(p + i * PAGE, PAGE, 100 + i, "page of the file");
		page_zero_check(p + (i + 1) * PAGE, "hole of the file");
	}
}

static void swapped_out(void)
{
	char *p;

	memcg_enter();
	swap_zram();
	p = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, memfd(HUGE));
	pattern_set(p, HUGE, 3);
	madvise(p, 64 * PAGE, MADV_PAGEOUT);
	memcg_reclaim(HUGE);
	NEED(pages_in_memory(p, 64 * PAGE) < 64, "nothing went to swap");
	collapse(p);
	pattern_check(p, HUGE, 3, "collapsed with pages from swap");
}

/* Half of the pages are tagged; the collapse is through a mapping without PROT_MTE. */
static void through_untagged_mapping(void)
{
	int fd = memfd(HUGE);
	char *plain = aligned_map(HUGE, PROT_RW, MAP_SHARED, fd);
	char *tagged = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, fd);
	size_t i;

	memset(plain, 0, HUGE);
	pattern_set(tagged, HUGE / 2, 4);
	collapse(plain);
	need_stale(plain, HUGE, "collapsed huge page");
	pattern_check(tagged, HUGE / 2, 4, "tagged half");
	for (i = HUGE_PAGES / 2; i < HUGE_PAGES; i += 3)
		page_zero_check(tagged + i * PAGE, "half that had no tags");
	MUST(mprotect(plain, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	pattern_check(plain, HUGE / 2, 4, "through the mapping that got PROT_MTE");
}

/* Another process maps the pages, and has tagged page 9, while they are collapsed. */
static void two_processes(void)
{
	char *p = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, memfd(HUGE));
	struct gate gate = gate_make();
	pid_t child;

	pattern_set(p, HUGE, 5);
	child = child_fork();
	if (child == 0) {
		pattern_check(p, HUGE, 5, "child before");
		pattern_set(p + 9 * PAGE, PAGE, 6);
		gate_wait(&gate);
		pattern_check(p, 9 * PAGE, 5, "child after");
		pattern_check(p + 9 * PAGE, PAGE, 6, "child's tags after");
		_exit(0);
	}
	while (ldg(p + 9 * PAGE) != pattern_tag(6, 0) ||
	       ldg(p + 10 * PAGE - GRANULE) != pattern_tag(6, GRANULES_PER_PAGE - 1))
		sched_yield();
	collapse(p);
	pattern_check(p, 9 * PAGE, 5, "collapsed");
	gate_open(&gate);
	wait_child(child);
	pattern_check(p + 9 * PAGE, PAGE, 6, "child's tags, collapsed");
}

PROBE(CASE_SECONDS(all_present, 20), CASE_SECONDS(holes, 20), CASE_SECONDS(swapped_out, 20),
      CASE_SECONDS(through_untagged_mapping, 20), CASE_SECONDS(two_processes, 20));
