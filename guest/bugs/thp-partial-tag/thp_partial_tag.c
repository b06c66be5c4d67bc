/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_partial_tag
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_DEBUG_FS
 * pages: 4K 16K
 * timeout: 60
 *
 * A huge page of which only a part is PROT_MTE keeps the tags of that part when it is
 * split, and shows no stale tags in the rest.
 *
 * Linux 6.12.117 fails all three cases: __split_huge_page_tail() clears the flags of each
 * tail page and copies PG_arch_2 (PG_mte_tagged) and PG_arch_3 from the head, but since
 * mte_sync_tags() marks single pages, head and tail may differ. If the head is untagged,
 * the tags of every tagged page are lost, and data is kept. If the head is tagged, the
 * untagged pages count as tagged, and show stale tags when they become PROT_MTE.
 */
#include "stale.h"

/* Makes pages [first, first + count) of a populated huge page PROT_MTE, and splits it. */
static void split_with_tagged(size_t first, size_t count)
{
	char *p = stale_thp(1, PROT_RW), *part = p + first * PAGE;

	MUST(mprotect(part, count * PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(part, count * PAGE, "after mprotect");
	pattern_set(part, count * PAGE, 5);
	thp_split(p, HUGE, 0);
	pattern_check(part, count * PAGE, 5, "after the split");
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE) of the rest");
	tags_zero_check(p, first * PAGE, "pages before the part");
	tags_zero_check(part + count * PAGE, HUGE - (first + count) * PAGE, "pages after the part");
}

static void head_tagged(void)
{
	split_with_tagged(0, HUGE_PAGES / 2);
}

static void tail_tagged(void)
{
	split_with_tagged(HUGE_PAGES / 2, HUGE_PAGES / 2);
}

static void middle_tagged(void)
{
	split_with_tagged(100, 8);
}

PROBE(CASE_SECONDS(head_tagged, 20), CASE_SECONDS(tail_tagged, 20),
      CASE_SECONDS(middle_tagged, 20));
