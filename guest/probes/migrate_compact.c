/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_compact
 * area: migrate
 * needs: CONFIG_COMPACTION CONFIG_NUMA CONFIG_TRANSPARENT_HUGEPAGE CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * Compaction moves pages in batches to the far end of memory; tags move along,
 * of single pages and of folios of 16 pages (copied page by page in
 * folio_mc_copy()). That pages moved is proved by their frame numbers.
 */
#include "thp.h"

#define PAGES	2048
#define LEN	(PAGES * PAGE)

static uint64_t before[PAGES], after[PAGES];

/* Compacts the node; how many pages of [p, p + LEN) moved. */
static size_t compact(char *p)
{
	size_t i, moved = 0;

	pagemap_read(p, before, PAGES);
	write_file("/sys/devices/system/node/node0/compact", "1");
	pagemap_read(p, after, PAGES);
	for (i = 0; i < PAGES; i++)
		moved += before[i] & after[i] & PM_PRESENT &&
			 (before[i] ^ after[i]) & PM_PFN_MASK;
	return moved;
}

static void small_pages(void)
{
	size_t i, moved;
	char *p;

	mte_need();
	p = mte_map(LEN);
	pattern_set(p, LEN, 1);
	stale_fill(4, false);
	/* Holes for others to fill; every second page stays. */
	for (i = 0; i < LEN; i += 2 * PAGE)
		MUST(madvise(p + i, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	moved = compact(p);
	ktap_note("%zu of %d pages moved", moved, PAGES / 2);
	MUST(moved > 0, "compaction moved nothing");
	for (i = 0; i < PAGES; i += 2) {
		pattern_check_from(p + (i + 1) * PAGE, PAGE, 1, (i + 1) * GRANULES_PER_PAGE, "compacted");
		stg(p + i * PAGE, 0);
		tags_zero_check(p + i * PAGE, PAGE, "fresh page after compaction");
	}
}

static void folios_of_16_pages(void)
{
	size_t moved;
	char *p;

	mte_need();
	write_file(THP_SYSFS "hugepages-64kB/enabled", "always");
	p = aligned_map(LEN, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	pattern_set(p, LEN, 2);
	MUST(in_large_folio(p), "no large folio");
	moved = compact(p);
	ktap_note("%zu of %d pages moved", moved, PAGES);
	MUST(moved > 0, "compaction moved nothing");
	MUST(in_large_folio(p), "the folio was split");
	pattern_check(p, LEN, 2, "compacted");
	pattern_set(p, LEN, 3);
	pattern_check(p, LEN, 3, "tagged anew");
}

PROBE(
	{ "small_pages", small_pages, 20 },
	{ "folios_of_16_pages", folios_of_16_pages, 20 },
)
