/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_range
 * needs: CONFIG_MIGRATION CONFIG_TRANSPARENT_HUGEPAGE CONFIG_HUGETLBFS CONFIG_CONTIG_ALLOC CONFIG_PROC_PAGE_MONITOR
 * pages: 4K
 * newer: 6.8 3485b88390b0 folios_of_16_pages
 * timeout: 60
 *
 * Huge pages and folios of 16 pages migrate as a whole, with the tags of each of their
 * pages, and are not split. The allocation of 32 MiB hugetlb pages migrates them:
 * alloc_contig_range() empties a range of that size. Exercises remove_migration_pmd(),
 * set_pmd_at(), folio_mc_copy() and remove_migration_pte() for several pages of one folio.
 * With larger pages the smallest such range is 1 GiB (arch/arm64/mm/hugetlbpage.c, CONT_PMD_SIZE).
 */
#include "stale.h"

#define COUNT 32 /* pieces of 2 MiB: enough to fill some 32 MiB range */
#define LEN   (COUNT * HUGE)
#define POOL  "/sys/kernel/mm/hugepages/hugepages-32768kB/nr_hugepages"

static uint64_t frames[COUNT];
static size_t stale[COUNT];

/* Each page has two tags, at its start and at an offset that varies, and data there. */
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

/*
 * Allocates range after range until one of the 2 MiB pieces of p has migrated, with
 * `from_stale` one of which at least half was in stale frames; returns its index. No page
 * has to migrate from a range that is free.
 */
static size_t move_some(char *p, bool from_stale)
{
	size_t i, ranges, found = COUNT;
	char text[16];

	for (i = 0; i < COUNT; i++) {
		frames[i] = pfn_of(p + i * HUGE);
		stale[i] = from_stale ? stale_pages(p + i * HUGE, HUGE) : 0;
	}
	for (ranges = 1; ranges <= 20 && found == COUNT; ranges++) {
		snprintf(text, sizeof(text), "%zu", ranges);
		write_file(POOL, text);
		if (read_long(POOL) != (long)ranges)
			break;
		for (i = 0; i < COUNT; i++)
			if (pfn_of(p + i * HUGE) != frames[i] &&
			    (stale[i] >= HUGE_PAGES / 2 || !from_stale))
				found = i;
	}
	write_file(POOL, "0");
	NEED(found < COUNT,
	     "nothing migrated in %zu ranges: too little free memory, or pages "
	     "that cannot be migrated in each of them",
	     ranges);
	return found;
}

static void huge(void)
{
	size_t at;
	char *p;

	mte_need();
	p = thp_alloc(COUNT, PROT_RW_MTE);
	mark(p);
	at = move_some(p, false);
	need_huge(p, LEN, COUNT);
	check(p);
	pattern_set(p + at * HUGE, HUGE, 4);
	pattern_check(p + at * HUGE, HUGE, 4, "tagged anew");
	thp_split(p + at * HUGE, HUGE, 0);
	pattern_check(p + at * HUGE, HUGE, 4, "split after the move");
}

/* Untagged huge pages migrate without the stale tags of their frames. */
static void huge_untagged(void)
{
	size_t at;
	char *p;

	mte_need();
	pin_cpu(0);
	stale_fill(LEN, true);
	p = thp_alloc(COUNT, PROT_RW);
	need_stale(p, LEN, "huge pages before migration");
	at = move_some(p, true);
	need_huge(p, LEN, COUNT);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p + at * HUGE, HUGE, "after mprotect(PROT_MTE)");
}

static void folios_of_16_pages(void)
{
	size_t i, at;
	char *p;

	mte_need();
	thp_sizes("always", "never");
	p = aligned_map(LEN, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	mark(p);
	NEED(page_flag(p, KPF_COMPOUND_HEAD) && page_flag(p + 15 * PAGE, KPF_COMPOUND_TAIL),
	     "no folios of 16 pages");
	at = move_some(p, false);
	NEED(page_flag(p + at * HUGE, KPF_COMPOUND_HEAD), "the folio was split");
	check(p);
	for (i = 0; i < 64; i++)
		stg(p + at * HUGE + i * PAGE, 0);
	for (i = 0; i < 64; i++)
		CHECK_EQ(ldg(p + at * HUGE + i * PAGE), 0, "tag set anew");
}

static void shared_memory(void)
{
	int fd = memory_file(LEN);
	char *p, *plain;

	mte_need();
	thp_sizes("never", "always");
	p = aligned_map(LEN, PROT_RW_MTE, MAP_SHARED, fd);
	plain = aligned_map(LEN, PROT_RW, MAP_SHARED, fd);
	mark(p);
	need_huge(p, LEN, COUNT);
	CHECK_EQ(*second(plain, 0), pattern_hash(3, 0),
		 "data through the mapping without PROT_MTE");
	move_some(p, false);
	check(p);
}

PROBE(CASE_SECONDS(huge, 20), CASE_SECONDS(huge_untagged, 20), CASE_SECONDS(folios_of_16_pages, 20),
      CASE_SECONDS(shared_memory, 20));
