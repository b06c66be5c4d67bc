/* SPDX-License-Identifier: MIT */
/*
 * probe: mremap_tags
 * needs: CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_MEMCG
 * disk: swapped_out
 * timeout: 60
 *
 * mremap() moves tags, data and PROT_MTE to the new address, page by page, by whole page
 * tables (move_normal_pmd(), move_normal_pud()) and for swapped pages. Memory that
 * mremap() adds, and memory that MREMAP_DONTUNMAP leaves at the old address, has tag 0.
 */
#include "fault.h"
#include "stale.h"
#include "swap.h"

#define PAGES 16
#define LEN   (PAGES * PAGE)

static char *start(uint64_t seed)
{
	char *p;

	pin_cpu(0);
	p = tagged_map(LEN, seed);
	stale_fill(8 * STALE_SMALL, false);
	return p;
}

static char *room(size_t len)
{
	char *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	return p;
}

static void move(void)
{
	char *p = start(1), *to = room(LEN);

	MUST(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	CHECK(smaps_flag(to, "mt"), "VmFlags of the new VMA have no mt");
	pattern_check(to, LEN, 1, "moved");
	pattern_set(to, LEN, 2);
	pattern_check(to, LEN, 2, "tagged anew");
}

static void move_read_only_and_back(void)
{
	char *p = start(3), *to = room(LEN);

	MUST(mprotect(p, LEN, PROT_READ) == 0, "mprotect(READ)");
	MUST(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	pattern_check(to, LEN, 3, "moved read-only");
	MUST(mprotect(to, LEN, PROT_NONE) == 0, "mprotect(NONE)");
	MUST(mremap(to, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p, "mremap back");
	MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(RW)");
	pattern_check(p, LEN, 3, "moved back while PROT_NONE");
}

static void grow_and_shrink(void)
{
	char *p = start(4), *to = room(4 * LEN);

	to = mremap(p, LEN, 3 * LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	MUST(to != MAP_FAILED, "mremap");
	pattern_check(to, LEN, 4, "old part");
	memset(to + LEN, 1, 2 * LEN);
	need_stale(to + LEN, 2 * LEN, "new part");
	tags_zero_check(to + LEN, 2 * LEN, "new part");
	pattern_set(to + LEN, 2 * LEN, 5);
	pattern_check(to + LEN, 2 * LEN, 5, "new part, tagged");
	MUST(mremap(to, 3 * LEN, LEN, 0) == to, "mremap, shrinking");
	stale_fill(8 * STALE_SMALL, false);
	MUST(munmap(to + LEN, PAGE) == 0 && mremap(to, LEN, LEN + PAGE, 0) == to,
	     "mremap in place");
	memset(to + LEN, 1, PAGE);
	tags_zero_check(to + LEN, PAGE, "grown in place");
	pattern_check(to, LEN, 4, "old part at the end");
}

static void dontunmap(void)
{
	char *p = start(6), *to = room(LEN);

	MUST(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to,
	     "mremap");
	CHECK(smaps_flag(p, "mt"), "VmFlags of the old VMA have no mt");
	memset(p, 1, LEN);
	need_stale(p, LEN, "new pages at the old address");
	tags_zero_check(p, LEN, "left behind");
	pattern_check(to, LEN, 6, "moved");
	pattern_set(p, LEN, 7);
	pattern_check(p, LEN, 7, "left behind, tagged");
	pattern_check(to, LEN, 6, "moved, unchanged");
}

/* Only a part of the mapping is moved. */
static void part(void)
{
	char *p = start(8), *to = room(LEN);

	MUST(mremap(p + 4 * PAGE, 5 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to,
	     "mremap");
	pattern_check_from(to, 5 * PAGE, 8, 4 * GRANULES_PER_PAGE, "part that moved");
	pattern_check(p, 4 * PAGE, 8, "part before");
	pattern_check_from(p + 9 * PAGE, 7 * PAGE, 8, 9 * GRANULES_PER_PAGE, "part after");
}

/* An aligned move moves whole page tables: what an entry of a PMD or of a PUD maps. */
static void whole_page_table(size_t align)
{
	char *p, *to;

	mte_need();
	p = mte_map_aligned(align, align, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1);
	/* EINVAL without CONFIG_TRANSPARENT_HUGEPAGE (mm/madvise.c, madvise_behavior_valid()). */
	MUST(madvise(p, align, MADV_NOHUGEPAGE) == 0 || errno == EINVAL, "MADV_NOHUGEPAGE");
	pattern_set(p, LEN, 9);
	pattern_set(p + align - LEN, LEN, 10);
	to = mte_map_aligned(align, align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1);
	MUST(mremap(p, align, align, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	pattern_check(to, LEN, 9, "first pages");
	pattern_check(to + align - LEN, LEN, 10, "last pages");
	tags_zero_check(to + LEN, LEN, "pages between, not populated");
	pattern_set(to, LEN, 11);
	pattern_check(to, LEN, 11, "tagged anew");
}

static void pmd_level(void)
{
	whole_page_table(HUGE);
}

static void pud_level(void)
{
	whole_page_table(HUGE_PAGES * HUGE);
}

static void swapped_out(void)
{
	char *p, *to;

	swap_begin(swap_disk);
	p = tagged_map(LEN, 12);
	page_out(p, LEN);
	to = room(LEN);
	MUST(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	pattern_check(to, LEN, 12, "moved while on swap");
}

/* With an old length of 0 mremap() maps shared memory at a second address. */
static void shared_alias(void)
{
	char *p, *alias;

	mte_need();
	p = mmap(NULL, LEN, PROT_RW_MTE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	pattern_set(p, LEN, 13);
	alias = mremap(p, 0, LEN, MREMAP_MAYMOVE);
	MUST(alias != MAP_FAILED && alias != p, "mremap");
	pattern_check(alias, LEN, 13, "alias");
	pattern_set(alias, LEN, 14);
	pattern_check(p, LEN, 14, "tagged through the alias");
}

PROBE(CASE_SECONDS(move, 20), CASE_SECONDS(move_read_only_and_back, 20),
      CASE_SECONDS(grow_and_shrink, 20), CASE_SECONDS(dontunmap, 20), CASE_SECONDS(part, 20),
      CASE_SECONDS(pmd_level, 20), CASE_SECONDS(pud_level, 20), CASE_SECONDS(swapped_out, 20),
      CASE_SECONDS(shared_alias, 20));
