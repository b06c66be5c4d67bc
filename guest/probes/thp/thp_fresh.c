/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_fresh
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_SHMEM
 * pages: 4K 16K
 * timeout: 60
 *
 * A new huge page has tag 0 in all of its granules, although its frames are stale,
 * and holds any tags. set_pmd_at() must have mte_sync_tags() clear the tags of all
 * subpages, because vma_alloc_folio() allocates the frames without __GFP_ZEROTAGS. The
 * huge zero page reads as tag 0, and the first write to it gives pages of tag 0. Dropped
 * pages come back with tag 0.
 */
#include "fault.h"
#include "stale.h"

static void start(void)
{
	mte_need();
	thp_sizes("never", "never");
	pin_cpu(0);
	stale_fill(8 * STALE_SMALL, false);
	stale_fill(4 * HUGE, true); /* the frames freed last are handed out first */
}

static void write_fault(void)
{
	char *p;

	start();
	p = thp_alloc(2, PROT_RW_MTE);
	need_stale(p, 2 * HUGE, "fresh huge pages");
	tags_zero_check(p, 2 * HUGE, "fresh huge pages");
	pattern_set(p, 2 * HUGE, 1);
	pattern_check(p, 2 * HUGE, 1, "all granules tagged");
	need_huge(p, 2 * HUGE, 2);
}

/* The page fault is caused by an STG, which is a store that writes no data. */
static void stg_fault(void)
{
	char *p;

	start();
	p = thp_map(1, PROT_RW_MTE);
	stg(p + 77 * PAGE + 32, 9);
	need_huge(p, HUGE, 1);
	need_stale(p, HUGE, "huge page that STG populates");
	CHECK_EQ(ldg(p + 77 * PAGE + 32), 9, "tag that the first STG set");
	stg(p + 77 * PAGE + 32, 0);
	tags_zero_check(p, HUGE, "the rest");
}

static void read_fault_then_write(void)
{
	char *p;

	start();
	p = thp_map(1, PROT_RW_MTE);
	CHECK_EQ(*(volatile char *)p, 0, "data of the huge zero page");
	NEED(page_flag(p, KPF_ZERO_PAGE) && page_flag(p, KPF_THP), "not the huge zero page");
	tags_zero_check(p, HUGE, "huge zero page");

	stg(p + 5 * PAGE, 3);
	*(volatile char *)(p + 6 * PAGE) = 1;
	need_stale(p + 5 * PAGE, 2 * PAGE, "pages written after the huge zero page");
	CHECK_EQ(ldg(p + 5 * PAGE), 3, "tag of the page that STG wrote");
	stg(p + 5 * PAGE, 0);
	tags_zero_check(p, HUGE, "after the first writes");
	CHECK_EQ(*(volatile char *)(p + 6 * PAGE), 1, "the byte written");
	page_zero_check(p + 5 * PAGE, "page that STG wrote");

	pattern_set(p, HUGE, 2);
	pattern_check(p, HUGE, 2, "all pages written");
	/* The huge zero page itself did not change. */
	p = thp_map(1, PROT_RW_MTE);
	tags_zero_check(p, HUGE, "huge zero page again");
}

static void dontneed_whole(void)
{
	char *p;

	start();
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, 3);
	stale_fill(4 * HUGE, true);
	MUST(madvise(p, HUGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	*(volatile char *)p = 0;
	need_huge(p, HUGE, 1);
	tags_zero_check(p, HUGE, "after MADV_DONTNEED");
}

static void dontneed_part(void)
{
	char *p, *gone;
	size_t i;

	start();
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, 4);
	gone = p + 100 * PAGE;
	MUST(madvise(gone, 50 * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	for (i = 0; i < 50; i++)
		page_zero_check(gone + i * PAGE, "dropped part, read");
	for (i = 0; i < 50; i++)
		stg(gone + i * PAGE, 0);
	need_stale(gone, 50 * PAGE, "dropped part");
	for (i = 0; i < 50; i++)
		page_zero_check(gone + i * PAGE, "dropped part, written");
	pattern_check(p, 100 * PAGE, 4, "part before");
	pattern_check_from(p + 150 * PAGE, HUGE - 150 * PAGE, 4, 150 * GRANULES_PER_PAGE,
			   "part after");
}

/* Reclaim drops pages that MADV_FREE marked, instead of writing them to swap. */
static void free_and_reclaim(void)
{
	char *p;
	size_t i;

	start();
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, 5);
	MUST(madvise(p + HUGE / 2, HUGE / 2, MADV_FREE) == 0, "MADV_FREE");
	for (i = 0; i < 100 && pagemap_count(p + HUGE / 2, HUGE / 2, PM_PRESENT); i++)
		MUST(madvise(p + HUGE / 2, HUGE / 2, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	NEED(pagemap_count(p + HUGE / 2, HUGE / 2, PM_PRESENT) == 0, "freed pages are still there");
	for (i = HUGE_PAGES / 2; i < HUGE_PAGES; i += 5) {
		stg(p + i * PAGE, 0);
		page_zero_check(p + i * PAGE, "page freed by MADV_FREE");
	}
	pattern_check(p, HUGE / 2, 5, "part that was kept");
}

/* A huge page of a memfd: the fault maps it by a PMD. */
static void memfd(void)
{
	int fd = memory_file(HUGE);
	char *p;

	start();
	thp_sizes("never", "always");
	p = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, fd);
	*(volatile char *)p = 0;
	need_huge(p, HUGE, 1);
	need_stale(p, HUGE, "huge page of a memfd");
	tags_zero_check(p, HUGE, "fresh huge page of a memfd");
	pattern_set(p, HUGE, 6);
	pattern_check(p, HUGE, 6, "all granules tagged");
}

PROBE(CASE_SECONDS(write_fault, 20), CASE_SECONDS(stg_fault, 20),
      CASE_SECONDS(read_fault_then_write, 20), CASE_SECONDS(dontneed_whole, 20),
      CASE_SECONDS(dontneed_part, 20), CASE_SECONDS(free_and_reclaim, 20), CASE_SECONDS(memfd, 20));
