/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_compact
 * needs: CONFIG_COMPACTION CONFIG_NUMA CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * Compaction moves pages in batches to the far end of memory; their tags move
 * along, and what faults into the holes has tag 0. That pages moved is proved by
 * their frame numbers. Exercises compact_zone() with migrate_pages_batch().
 */
#include "procfs.h"

#define PAGES  65536UL /* a quarter of the guest's memory */
#define LEN    (PAGES * PAGE)
#define LOW    512UL /* pages that stay at the lower end, tagged */
#define ANCHOR 128 /* further up, one page of so many frames stays */

static uint64_t before[PAGES], after[PAGES], sorted[PAGES];

static int by_frame(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Compaction moves pages from the lower end of the zone up, into pageblocks that
 * are in use in part: a free one would be wasted (suitable_migration_target()).
 * So those of many pages that have the lowest frames stay, and of the others just
 * enough that each pageblock above has a page in use and room beside it.
 */
static void spread(char *p)
{
	uint64_t limit, pfn;
	size_t i;

	for (i = 0; i < PAGES; i++)
		*(volatile char *)(p + i * PAGE) = 0;
	pagemap_read(p, before, PAGES);
	for (i = 0; i < PAGES; i++)
		sorted[i] = before[i] & PM_PFN_MASK;
	qsort(sorted, PAGES, sizeof(*sorted), by_frame);
	limit = sorted[LOW];
	for (i = 0; i < PAGES; i++) {
		pfn = before[i] & PM_PFN_MASK;
		if (pfn < limit)
			pattern_set(p + i * PAGE, PAGE, i);
		else if (pfn % ANCHOR)
			MUST(madvise(p + i * PAGE, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	}
	for (i = 0; i < PAGES; i++)
		if ((before[i] & PM_PFN_MASK) >= limit)
			before[i] = 0; /* not tagged: of no further interest */
}

static void small_pages(void)
{
	size_t i, moved = 0;
	char *p, *at;

	mte_need();
	p = mte_map(LEN);
	spread(p);
	write_file("/sys/devices/system/node/node0/compact", "1");
	pagemap_read(p, after, PAGES);
	for (i = 0; i < PAGES; i++) {
		at = p + i * PAGE;
		if (before[i]) {
			moved += (before[i] ^ after[i]) & PM_PFN_MASK ? 1 : 0;
			pattern_check(at, PAGE, i, "compacted");
			pattern_set(at, PAGE, i + 1);
			pattern_check(at, PAGE, i + 1, "tagged anew");
		} else if (!(after[i] & PM_PRESENT) && i % 16 == 0) {
			stg(at, 0);
			tags_zero_check(at, PAGE, "fresh page after compaction");
		}
	}
	MUST(moved > 0, "compaction moved none of %lu pages", LOW);
	printf("# %zu of %lu pages moved\n", moved, LOW);
	munmap(p, LEN);
}

PROBE(CASE_SECONDS(small_pages, 30));
