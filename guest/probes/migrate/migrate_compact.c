/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_compact
 * needs: CONFIG_COMPACTION CONFIG_NUMA CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * Compaction migrates pages in batches to the far end of memory. Their tags move with
 * them, and pages that faults put into the freed frames have tag 0. Page frame numbers
 * prove that pages moved. Exercises compact_zone() with migrate_pages_batch().
 */
#include "procfs.h"

#define LEN    (256UL << 20) /* a quarter of the guest's memory */
#define PAGES  (LEN / PAGE)
#define LOW    512UL /* pages with the lowest frames: kept, and tagged */
#define ANCHOR 128 /* above them one page of so many frames is kept */

static uint64_t before[PAGES], after[PAGES], sorted[PAGES];

static int by_frame(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Compaction migrates pages from the lower end of the zone to its upper end, into
 * pageblocks that are partly in use; it takes no free pageblock
 * (suitable_migration_target()). So this keeps those pages that have the lowest frames,
 * and of the others one in ANCHOR, so that each pageblock above is partly in use.
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
			before[i] = 0; /* not tagged, and not looked at any more */
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
	NEED(moved > 0, "compaction moved none of %lu pages", LOW);
	ktap_note("%zu of %lu pages moved", moved, LOW);
	munmap(p, LEN);
}

PROBE(CASE_SECONDS(small_pages, 30));
