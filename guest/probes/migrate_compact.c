/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_compact
 * area: migrate
 * needs: CONFIG_COMPACTION CONFIG_NUMA CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * Compaction moves pages in batches to the far end of memory; their tags move
 * along, and what faults into the holes has tag 0. That pages moved is proved by
 * their frame numbers. Exercises compact_zone() with migrate_pages_batch().
 */
#include "thp.h"

#define PAGES	4096UL
#define LEN	(PAGES * PAGE)
#define KEPT	8	/* one page of so many */
#define TRIES	8
#define FILLER	(64UL << 20)

static uint64_t before[PAGES], after[PAGES], sorted[PAGES];

static int by_frame(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a & PM_PFN_MASK, y = *(const uint64_t *)b & PM_PFN_MASK;

	return x < y ? -1 : x > y;
}

/*
 * Compaction moves pages up, towards the end of the zone. So of many pages those
 * with the lowest frames stay, and the others make room above.
 */
static void keep_lowest(char *p)
{
	uint64_t limit;
	size_t i;

	for (i = 0; i < PAGES; i++)
		*(volatile char *)(p + i * PAGE) = 0;
	pagemap_read(p, before, PAGES);
	memcpy(sorted, before, sizeof(sorted));
	qsort(sorted, PAGES, sizeof(*sorted), by_frame);
	limit = sorted[PAGES / KEPT] & PM_PFN_MASK;
	for (i = 0; i < PAGES; i++) {
		if ((before[i] & PM_PFN_MASK) < limit)
			pattern_set(p + i * PAGE, PAGE, i);
		else
			MUST(madvise(p + i * PAGE, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	}
}

/* Compacts once; checks every page of p, and returns how many of those kept have moved. */
static size_t compact(char *p)
{
	size_t i, moved = 0;

	pagemap_read(p, before, PAGES);
	write_file("/sys/devices/system/node/node0/compact", "1");
	pagemap_read(p, after, PAGES);
	for (i = 0; i < PAGES; i++) {
		char *at = p + i * PAGE;

		if (!(before[i] & PM_PRESENT)) {
			stg(at, 0);
			tags_zero_check(at, PAGE, "fresh page after compaction");
			continue;
		}
		moved += (before[i] ^ after[i]) & PM_PFN_MASK ? 1 : 0;
		pattern_check(at, PAGE, i, "compacted");
		pattern_set(at, PAGE, i + 1);
		pattern_check(at, PAGE, i + 1, "tagged anew");
	}
	return moved;
}

/*
 * Where the page allocator puts the pages is not ours to say: at the upper end
 * of memory nothing has a reason to move. Filling that end pushes the next try
 * further down.
 */
static void small_pages(void)
{
	size_t attempt, moved = 0;
	char *p;

	mte_need();
	for (attempt = 0; attempt < TRIES && !moved; attempt++) {
		p = mte_map(LEN);
		keep_lowest(p);
		moved = compact(p);
		munmap(p, LEN);
		p = mmap(NULL, FILLER, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		MUST(p != MAP_FAILED, "mmap of %lu bytes", FILLER);
	}
	MUST(moved > 0, "compaction moved no page in %d tries", TRIES);
}

PROBE(
	{ "small_pages", small_pages, 30 },
)
