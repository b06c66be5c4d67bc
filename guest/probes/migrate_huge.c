/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_huge
 * area: migrate
 * needs: CONFIG_MIGRATION CONFIG_TRANSPARENT_HUGEPAGE CONFIG_HUGETLBFS CONFIG_CONTIG_ALLOC CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * A huge page migrates as a whole, with the tags of its 512 pages, and stays
 * mapped by a PMD. What moves it is the allocation of a 32 MiB hugetlb page:
 * alloc_contig_range() empties the first range of that size it can, and a
 * process that has many huge pages owns such a range. Exercises
 * remove_migration_pmd(), set_pmd_at() and folio_mc_copy().
 */
#include "thp.h"

#define COUNT	48
#define LEN	(COUNT * HUGE)
#define POOL	"/sys/kernel/mm/hugepages/hugepages-32768kB/nr_hugepages"

static uint64_t frames[COUNT];

/* Two tags and data in each page: at the start, and at an offset that varies. */
static uint64_t *second(char *page, size_t i)
{
	return (uint64_t *)(page + (1 + i % 255) * GRANULE);
}

static void mark(char *p)
{
	size_t i;

	for (i = 0; i < LEN / PAGE; i++) {
		stg(p + i * PAGE, pattern_tag(1, i));
		stg(second(p + i * PAGE, i), pattern_tag(2, i));
		*second(p + i * PAGE, i) = pattern_hash(3, i);
	}
}

static void check(char *p)
{
	size_t i, first_tags = 0, second_tags = 0, data = 0;

	for (i = 0; i < LEN / PAGE; i++) {
		first_tags += ldg(p + i * PAGE) != pattern_tag(1, i);
		second_tags += ldg(second(p + i * PAGE, i)) != pattern_tag(2, i);
		data += *second(p + i * PAGE, i) != pattern_hash(3, i);
	}
	CHECK_EQ(first_tags, 0, "pages with a wrong tag at their start");
	CHECK_EQ(second_tags, 0, "pages with a wrong second tag");
	CHECK_EQ(data, 0, "pages with wrong data");
}

/* Moves some of the huge pages; the index of one that moved. */
static size_t move_some(char *p)
{
	size_t i, moved = 0, last = 0;

	for (i = 0; i < COUNT; i++)
		frames[i] = pfn_of(p + i * HUGE);
	write_file(POOL, "1");
	MUST(read_long(POOL) == 1, "no hugetlb page of 32 MiB");
	for (i = 0; i < COUNT; i++) {
		if (pfn_of(p + i * HUGE) != frames[i]) {
			moved++;
			last = i;
		}
	}
	write_file(POOL, "0");
	ktap_note("%zu of %d huge pages moved", moved, COUNT);
	MUST(moved > 0, "no huge page moved");
	must_be_huge(p, LEN, COUNT);
	return last;
}

static void tagged(void)
{
	size_t at;
	char *p;

	mte_need();
	p = thp_alloc(COUNT, PROT_RW_MTE);
	mark(p);
	at = move_some(p);
	check(p);
	pattern_set(p + at * HUGE, HUGE, 4);
	pattern_check(p + at * HUGE, HUGE, 4, "tagged anew");
}

/* Untagged huge pages move into frames with stale tags; PROT_MTE comes later. */
static void untagged_then_mprotect(void)
{
	size_t at;
	char *p;

	mte_need();
	stale_fill(16, true);
	p = thp_alloc(COUNT, PROT_RW);
	stale_fill(16, true);
	at = move_some(p);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	must_be_stale(p + at * HUGE, HUGE);
	tags_zero_check(p + at * HUGE, HUGE, "after mprotect(PROT_MTE)");
}

PROBE(
	{ "tagged", tagged, 20 },
	{ "untagged_then_mprotect", untagged_then_mprotect, 20 },
)
