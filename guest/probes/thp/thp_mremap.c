/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_mremap
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR
 * pages: 4K 16K
 * timeout: 60
 *
 * mremap() of a tagged huge page: as a whole (move_huge_pmd()), to an address at which its
 * PMD must be split, in part, and with MREMAP_DONTUNMAP, which leaves new memory of tag 0
 * at the old address. Tags, data and PROT_MTE move to the new address.
 */
#include "stale.h"

static char *tagged_thps(size_t count, uint64_t seed)
{
	char *p = stale_thp(count, PROT_RW_MTE);

	pattern_set(p, count * HUGE, seed);
	return p;
}

/* Reserves `len` bytes of addresses at `offset` from a multiple of HUGE. */
static char *room(size_t len, size_t offset)
{
	return (char *)aligned_map(len + offset, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1) +
	       offset;
}

static void whole(void)
{
	char *p = tagged_thps(2, 1), *to = room(2 * HUGE, 0);

	MUST(mremap(p, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	need_huge(to, 2 * HUGE, 2);
	CHECK(smaps_flag(to, "mt"), "VmFlags of the new VMA have no mt");
	pattern_check(to, 2 * HUGE, 1, "moved");
	pattern_set(to, 2 * HUGE, 2);
	pattern_check(to, 2 * HUGE, 2, "tagged anew");
}

static void to_unaligned_address(void)
{
	char *p = tagged_thps(1, 3), *to = room(HUGE, 3 * PAGE);

	MUST(mremap(p, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	need_huge(to, HUGE, 0);
	pattern_check(to, HUGE, 3, "moved");
	pattern_set(to, HUGE, 4);
	pattern_check(to, HUGE, 4, "tagged anew");
}

static void part(void)
{
	char *p = tagged_thps(1, 5), *to = room(HUGE, 0);

	MUST(mremap(p + 100 * PAGE, 200 * PAGE, 200 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
		     to,
	     "mremap");
	pattern_check_from(to, 200 * PAGE, 5, 100 * GRANULES_PER_PAGE, "part that moved");
	pattern_check(p, 100 * PAGE, 5, "part before");
	pattern_check_from(p + 300 * PAGE, HUGE - 300 * PAGE, 5, 300 * GRANULES_PER_PAGE,
			   "part after");
}

static void dontunmap(void)
{
	char *p = tagged_thps(1, 6), *to = room(HUGE, 0);

	stale_fill(4 * HUGE, true);
	MUST(mremap(p, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to,
	     "mremap");
	need_huge(to, HUGE, 1);
	pattern_check(to, HUGE, 6, "moved");
	*(volatile char *)p = 0;
	need_huge(p, HUGE, 1);
	need_stale(p, HUGE, "new huge page at the old address");
	tags_zero_check(p, HUGE, "left behind");
	pattern_check(to, HUGE, 6, "moved, after the old address was used");
}

static void grow(void)
{
	char *p = tagged_thps(1, 7), *to = room(3 * HUGE, 0);

	MUST(mremap(p, HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	*(volatile char *)(to + HUGE) = 0;
	need_huge(to, 2 * HUGE, 2);
	pattern_check(to, HUGE, 7, "old part");
	tags_zero_check(to + HUGE, HUGE, "new part");
	pattern_set(to + HUGE, HUGE, 8);
	pattern_check(to + HUGE, HUGE, 8, "new part, tagged");
}

PROBE(CASE_SECONDS(whole, 20), CASE_SECONDS(to_unaligned_address, 20), CASE_SECONDS(part, 20),
      CASE_SECONDS(dontunmap, 20), CASE_SECONDS(grow, 20));
