/* SPDX-License-Identifier: MIT */
/*
 * probe: thp_mprotect
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR
 * pages: 4K 16K
 * timeout: 60
 *
 * mprotect(PROT_MTE) of a populated, untagged huge page clears the tags of all
 * subpages and keeps their data: change_huge_pmd() with pmd_modify(), whose mask must let
 * the memory type change, and set_pmd_at() with mte_sync_tags(). Losing and regaining
 * access keeps the tags.
 */
#include "child.h"
#include "fault.h"
#include "stale.h"

/* A huge page with data and without PROT_MTE, in stale frames. */
static char *untagged_thp(void)
{
	char *p = stale_thp(1, PROT_RW);

	pattern_set_data(p, HUGE, 99);
	stg(p + 3 * PAGE, 6); /* no effect: the memory type is Normal, not Tagged */
	CHECK_EQ(ldg(p + 3 * PAGE), 0, "tag read without PROT_MTE");
	return p;
}

static void whole(void)
{
	char *p = untagged_thp();

	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	need_huge(p, HUGE, 1);
	tags_zero_check(p, HUGE, "after mprotect(PROT_MTE)");
	pattern_check_data(p, HUGE, 99, "after mprotect(PROT_MTE)");
	pattern_set(p, HUGE, 1);
	pattern_check(p, HUGE, 1, "tagged");
}

/* The tags of a read-only mapping can be read too. */
static void whole_read_only(void)
{
	char *p = untagged_thp();

	MUST(mprotect(p, HUGE, PROT_READ | PROT_MTE) == 0, "mprotect(PROT_READ | PROT_MTE)");
	need_huge(p, HUGE, 1);
	tags_zero_check(p, HUGE, "read-only");
	pattern_check_data(p, HUGE, 99, "read-only");
}

/* Tags need not be cleared while the page is PROT_NONE, but must be once it is readable. */
static void through_prot_none(void)
{
	char *p = untagged_thp();

	MUST(mprotect(p, HUGE, PROT_NONE | PROT_MTE) == 0, "mprotect(PROT_NONE | PROT_MTE)");
	MUST(mprotect(p, HUGE, PROT_RW) == 0, "mprotect(RW)");
	need_huge(p, HUGE, 1);
	tags_zero_check(p, HUGE, "after PROT_NONE");
	pattern_check_data(p, HUGE, 99, "after PROT_NONE");
	pattern_set(p, HUGE, 2);
	pattern_check(p, HUGE, 2, "tagged: PROT_MTE stays set");
}

static void there_and_back(void)
{
	char *p = untagged_thp();

	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	pattern_set(p, HUGE, 3);
	MUST(mprotect(p, HUGE, PROT_NONE) == 0, "mprotect(NONE)");
	MUST(mprotect(p, HUGE, PROT_READ) == 0, "mprotect(READ)");
	pattern_check(p, HUGE, 3, "read-only again");
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(RW | MTE)");
	pattern_check(p, HUGE, 3, "read-write again");
	need_huge(p, HUGE, 1);
}

/* mprotect() of a part splits the PMD, and only the pages of the part become tagged. */
static void part(void)
{
	char *p = untagged_thp(), *at = p + 300 * PAGE;

	MUST(mprotect(at, 100 * PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE) of a part");
	need_huge(p, HUGE, 0);
	tags_zero_check(at, 100 * PAGE, "the part");
	pattern_check_data(p, HUGE, 99, "after mprotect of a part");
	stg(at - GRANULE, 7);
	stg(at + 100 * PAGE, 7);
	CHECK_EQ(ldg(at - GRANULE), 0, "tag before the part, without PROT_MTE");
	CHECK_EQ(ldg(at + 100 * PAGE), 0, "tag after the part, without PROT_MTE");
	pattern_set(at, 100 * PAGE, 4);
	pattern_check(at, 100 * PAGE, 4, "the part, tagged");
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE) of the rest");
	pattern_check(at, 100 * PAGE, 4, "the part, after the rest became tagged");
	tags_zero_check(p, 300 * PAGE, "the rest before");
	tags_zero_check(at + 100 * PAGE, HUGE - 400 * PAGE, "the rest after");
	pattern_check_data(p, 300 * PAGE, 99, "the rest before");
}

static void make_tagged_in_child(char *p)
{
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE) in the child");
	tags_zero_check(p, HUGE, "child");
	pattern_check_data(p, HUGE, 99, "child");
	pattern_set(p, HUGE, 5);
	pattern_check(p, HUGE, 5, "child");
}

/* The huge page is shared with a child, which makes it PROT_MTE first. */
static void shared_by_fork(void)
{
	char *p = untagged_thp();

	run_child(make_tagged_in_child, p);
	pattern_check_data(p, HUGE, 99, "parent");
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, HUGE, "parent");
	pattern_check_data(p, HUGE, 99, "parent, after mprotect");
}

/* The huge zero page is mapped before the memory becomes PROT_MTE. */
static void huge_zero_page(void)
{
	char *p;

	mte_need();
	pin_cpu(0);
	/*
	 * A write splits the zero page and gets a small page; in 6.18 and 7.3 it gets a huge
	 * page, which small ones would be split from if they came after it.
	 */
	stale_fill(8 * STALE_SMALL, false);
	stale_fill(4 * HUGE, true);
	p = thp_map(1, PROT_RW);
	MUST(*(volatile char *)p == 0, "data of the huge zero page");
	NEED(page_flag(p, KPF_ZERO_PAGE), "not the huge zero page");
	MUST(mprotect(p, HUGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, HUGE, "huge zero page");
	stg(p + 9 * PAGE, 4);
	need_stale(p + 9 * PAGE, PAGE, "copy of the huge zero page");
	CHECK_EQ(ldg(p + 9 * PAGE), 4, "tag after STG");
	stg(p + 9 * PAGE, 0);
	tags_zero_check(p, HUGE, "after the first STG");
}

PROBE(CASE_SECONDS(whole, 20), CASE_SECONDS(whole_read_only, 20),
      CASE_SECONDS(through_prot_none, 20), CASE_SECONDS(there_and_back, 20), CASE_SECONDS(part, 20),
      CASE_SECONDS(shared_by_fork, 20), CASE_SECONDS(huge_zero_page, 20));
