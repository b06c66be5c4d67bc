/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_zero_data
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR CONFIG_MEMCG CONFIG_SWAP CONFIG_DEBUG_FS
 * pages: 4K 16K
 * since: 6.12 dafff3f4c850
 * fixed: 6.18/6.12.57 1ce6473d17e7 split shrinker; 6.18/6.12.57/6.1.158 f620d66af316 zero_page_stays_untagged
 * timeout: 60
 *
 * A page of zero data that has tags is not replaced by the zero page. A split replaces
 * zero-filled subpages by the zero page (mm/migrate.c try_to_map_unused_to_zeropage()),
 * and the shrinker splits huge pages that are mostly zero (mm/huge_memory.c
 * thp_underused()); both must skip tagged pages. Linux 6.12 to 6.17 did not: 1ce6473d17e7
 * "mm/thp: fix MTE tag mismatch when replacing zero-filled subpages".
 */
#include "pin.h"
#include "swap.h"
#include "thp.h"

/* Tags by a pattern; the data is zero except in the first 16 pages. */
static void tag_only(char *p, uint64_t seed)
{
	pattern_set_tags(p, HUGE, seed);
	memset(p, 0x11, 16 * PAGE);
}

static void tag_only_check(char *p, uint64_t seed, const char *when)
{
	pattern_check_tags(p, HUGE, seed, when);
	CHECK_EQ(other_bytes(p, 0x11, 16 * PAGE), 0, "%s: wrong bytes of data", when);
	CHECK_EQ(other_bytes(p + 16 * PAGE, 0, HUGE - 16 * PAGE), 0, "%s: bytes not zero", when);
}

static size_t zero_pages(const char *p)
{
	size_t i, n = 0;

	for (i = 0; i < HUGE_PAGES; i += 8)
		n += page_flag(p + i * PAGE, KPF_ZERO_PAGE);
	return n;
}

static void start(void)
{
	mte_need();
	pin_cpu(0);
	swap_none();
	memcg_enter();
}

/* As a control, the same split does replace zero-filled pages without tags. */
static void split(void)
{
	char *plain, *p;

	start();
	plain = thp_alloc(1, PROT_RW);
	memset(plain, 0x11, 16 * PAGE);
	p = thp_alloc(1, PROT_RW_MTE);
	tag_only(p, 1);
	thp_split(plain, HUGE, 0);
	NEED(zero_pages(plain) == HUGE_PAGES / 8 - 2, "%zu zero pages in the untagged huge page",
	     zero_pages(plain));
	thp_split(p, HUGE, 0);
	tag_only_check(p, 1, "after the split");
	CHECK_EQ(zero_pages(p), 0, "tagged pages replaced by the zero page");
}

static void shrinker(void)
{
	char half[16], *plain, *p;
	long before;
	int i;

	start();
	snprintf(half, sizeof(half), "%lu", HUGE_PAGES / 2);
	write_file(THP_SYSFS "khugepaged/max_ptes_none", half);
	before = vmstat("thp_underused_split_page");
	p = thp_alloc(1, PROT_RW_MTE);
	tag_only(p, 2);
	plain = thp_alloc(1, PROT_RW);
	memset(plain, 0x11, 16 * PAGE);
	for (i = 0; i < 50 && in_large_folio(plain); i++)
		memcg_reclaim(HUGE);
	NEED(!in_large_folio(plain), "the shrinker left the untagged huge page");
	NEED(vmstat("thp_underused_split_page") > before,
	     "the split was not counted as one of an underused page");
	tag_only_check(p, 2, "after the shrinker");
	thp_split(p, HUGE, 0);
	tag_only_check(p, 2, "after the shrinker and a split");
}

/*
 * A PROT_MTE mapping of the zero page must not mark it as tagged (f620d66af316), because
 * memcmp_pages() reports a tagged page as different from all others.
 */
static void zero_page_stays_untagged(void)
{
	char *p;

	start();
	p = mte_map(PAGE);
	MUST(*(volatile char *)p == 0, "data of the zero page");
	NEED(page_flag(p, KPF_ZERO_PAGE), "no zero page");
	CHECK_EQ(ldg(p), 0, "tag of the zero page");
	MUST(mprotect(p, PAGE, PROT_READ | PROT_MTE) == 0, "mprotect");
	CHECK_EQ(ldg(p), 0, "tag of the zero page, read-only");
	CHECK_EQ(page_flag(p, KPF_ARCH_2), 0, "PG_mte_tagged of the zero page");
	p = thp_alloc(1, PROT_RW);
	memset(p, 0x11, 16 * PAGE);
	thp_split(p, HUGE, 0);
	CHECK_EQ(zero_pages(p), HUGE_PAGES / 8 - 2, "zero pages of a split untagged huge page");
}

PROBE(CASE_SECONDS(split, 20), CASE_SECONDS(shrinker, 20),
      CASE_SECONDS(zero_page_stays_untagged, 20));
