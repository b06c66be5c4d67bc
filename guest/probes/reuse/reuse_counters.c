/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_counters
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR
 * disk: swapped
 * timeout: 120
 * smoke: yes
 *
 * The counters of reused tag storage agree exactly with the pages, after each kind of
 * operation, and return to their values when all is freed: MetadataTotal and MetadataFree
 * of /proc/meminfo, nr_free_metadata and metadata_reserve_* of /proc/vmstat, "metadata" of
 * /proc/zoneinfo, "Metadata" of /proc/pagetypeinfo. arch/arm64/mm/mte_tag_storage.c,
 * mm/page_alloc.c account_freepages().
 */
#include "reuse.h"
#include "thp.h"

#define PAGES 600

/* The sum of the numbers that follow the word `key`, on all lines that have it. */
static long sum_after(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	char line[512], *word, *end;
	long sum = -1;

	MUST(f, "open %s", path);
	while (fgets(line, sizeof(line), f)) {
		for (word = strtok(line, " ,\n"); word && strcmp(word, key);
		     word = strtok(NULL, " ,\n"))
			;
		while (word && (word = strtok(NULL, " ,\n"))) {
			long value = strtol(word, &end, 10);

			if (!*end)
				sum = (sum < 0 ? 0 : sum) + value;
		}
	}
	fclose(f);
	MUST(sum >= 0, "%s has no %s", path, key);
	return sum;
}

/* Free pages by order, in /proc/pagetypeinfo: "Node 0, zone DMA, type Metadata 0 1 …". */
static long pagetype_free(void)
{
	FILE *f = fopen("/proc/pagetypeinfo", "re");
	char line[512], *at;
	long pages = -1;

	MUST(f, "open /proc/pagetypeinfo");
	while (fgets(line, sizeof(line), f)) {
		int order, used;
		long count;

		at = strstr(line, "type");
		if (!strstr(line, "zone") || !at || !(at = strstr(at, " Metadata ")))
			continue;
		at += strlen(" Metadata ");
		pages = pages < 0 ? 0 : pages;
		for (order = 0; sscanf(at, "%ld%n", &count, &used) == 1; order++, at += used)
			pages += count << order;
	}
	fclose(f);
	MUST(pages >= 0, "/proc/pagetypeinfo has no row Metadata");
	return pages;
}

/* Leak check. As memory was never full, no other data was moved to tag storage either. */
static void back(const struct reuse *before, const char *when)
{
	reuse_back(before, when);
	CHECK_EQ(reuse_counters().data, before->data, "%s: pages of storage with data", when);
}

static void files_agree(void)
{
	struct reuse now;
	long blocks;

	reuse_need();
	now = reuse_check("at rest");
	CHECK_EQ(meminfo_kb("MetadataFree") * 1024 / (long)PAGE, now.free, "MetadataFree in pages");
	CHECK_EQ(sum_after("/proc/zoneinfo", "metadata"), now.total, "metadata in /proc/zoneinfo");
	CHECK_EQ(pagetype_free(), now.free, "free pages of type Metadata in /proc/pagetypeinfo");
	blocks = sum_after("/proc/pagetypeinfo", "Metadata");
	CHECK(blocks > 0, "no pageblock of type Metadata");
	CHECK(now.free + now.reserved <= now.total, "%ld free and %ld reserved of %ld", now.free,
	      now.reserved, now.total);
	CHECK(meminfo_kb("MemTotal") * 1024 / (long)PAGE > now.total,
	      "MemTotal without tag storage");
}

/* How many different blocks hold the tags of [p, p + len); *pages is their size. */
static long distinct_blocks(const char *p, size_t len, long *pages)
{
	static uint64_t seen[PAGES + HUGE_PAGES];
	unsigned int size = 1;
	size_t i, j, count = 0;

	for (i = 0; i < len; i += PAGE) {
		uint64_t block = block_of(pfn_of(p + i), &size);

		for (j = 0; j < count && seen[j] != block; j++)
			;
		if (j == count) {
			MUST(count < PAGES + HUGE_PAGES, "too many blocks");
			seen[count++] = block;
		}
	}
	*pages = count * size;
	return count;
}

/*
 * Checks that as many pages of tag storage are reserved as [p, p + len) needs. No other
 * memory of this guest is tagged, except for one page, the zero page.
 */
static void check_reserved(const struct reuse *before, const char *p, size_t len, const char *when)
{
	long more = 0, pages = 0, blocks = 0, one = 1;
	int i;

	/*
	 * Pages freed by a child may still be in another CPU's LRU batch (lru_add_drain());
	 * drop_caches drains it.
	 */
	for (i = 0; i < 100; i++) {
		blocks = distinct_blocks(p, len, &pages);
		one = blocks ? pages / blocks : 1;
		more = reuse_check(when).reserved - before->reserved;
		if (more == pages || more == pages - one)
			break;
		write_file("/proc/sys/vm/drop_caches", "1");
		usleep(10000);
	}
	CHECK(more == pages || more == pages - one,
	      "%s: %ld more pages of storage reserved, for tagged pages in %ld blocks of %ld", when,
	      more, blocks, one);
	reuse_check_tagged(p, len, when);
}

static void touch_and_unmap(void)
{
	struct reuse before;
	char *p;

	reuse_need();
	before = reuse_check("before");
	p = mte_map(PAGES * PAGE);
	CHECK_EQ(reuse_check("mapped").reserved, before.reserved,
		 "reserved for memory not touched yet");
	pattern_set(p, PAGES * PAGE, 1);
	check_reserved(&before, p, PAGES * PAGE, "touched");
	pattern_check(p, PAGES * PAGE, 1, "touched");
	munmap(p, PAGES * PAGE);
	back(&before, "unmapped");
}

static void half_freed(void)
{
	struct reuse before;
	size_t i;
	char *p;

	reuse_need();
	before = reuse_check("before");
	p = mte_map(PAGES * PAGE);
	pattern_set(p, PAGES * PAGE, 2);
	/* A block stays reserved as long as any page with tags in it is in use. */
	for (i = 0; i < PAGES / 2; i++)
		MUST(madvise(p + i * 2 * PAGE, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	for (i = 0; i < PAGES / 2; i++)
		reuse_check_tagged(p + (i * 2 + 1) * PAGE, PAGE, "its neighbours freed");
	reuse_check("half freed");
	for (i = 0; i < PAGES / 2; i++)
		pattern_check_from(p + (i * 2 + 1) * PAGE, PAGE, 2, (i * 2 + 1) * GRANULES_PER_PAGE,
				   "its neighbours freed");
	munmap(p, PAGES * PAGE);
	back(&before, "unmapped");
}

/* Maps and tags memory for a huge page. It is one unless the kernel has none free. */
static char *huge_page(struct reuse *before, uint64_t seed)
{
	char *p;

	reuse_need();
	*before = reuse_check("before");
	thp_sizes("never", "never");
	p = thp_map(1, PROT_RW_MTE);
	pattern_set(p, HUGE, seed);
	return p;
}

/* Freeing a large folio drops the references of all its pages at once. */
static void huge_page_freed(void)
{
	struct reuse before;
	char *p = huge_page(&before, 4);

	NEED(in_large_folio(p), "no huge page");
	reuse_check("a huge page");
	munmap(p, HUGE);
	back(&before, "unmapped");
}

static void huge_page_split(void)
{
	struct reuse before, now;
	char *p = huge_page(&before, 3);

	now = reuse_check("a huge page");
	CHECK(now.reserved - before.reserved >= (long)HUGE_PAGES / STORAGE_PER_PAGE - 1,
	      "%ld pages reserved for 512 tagged pages", now.reserved - before.reserved);
	if (pagemap_count(p, HUGE, PM_PRESENT) == HUGE_PAGES && in_large_folio(p))
		CHECK_EQ(now.reserved - before.reserved, HUGE_PAGES / STORAGE_PER_PAGE,
			 "pages of storage reserved for a huge page");
	pattern_check(p, HUGE, 3, "huge");
	thp_split(p, HUGE, 0);
	pattern_check(p, HUGE, 3, "split");
	reuse_check_tagged(p, HUGE, "split");
	munmap(p, HUGE);
	back(&before, "unmapped");
}

static void write_in_child(char *p)
{
	touch_write(p, PAGES * PAGE);
	pattern_check(p, PAGES * PAGE, 4, "the child's copy");
	reuse_check_tagged(p, PAGES * PAGE, "the child's copy");
}

static void fork_and_write(void)
{
	struct reuse before;
	char *p;

	reuse_need();
	before = reuse_check("before");
	p = mte_map(PAGES * PAGE);
	pattern_set(p, PAGES * PAGE, 4);
	run_child(write_in_child, p);
	check_reserved(&before, p, PAGES * PAGE, "the child has ended");
	pattern_check(p, PAGES * PAGE, 4, "the parent's");
	munmap(p, PAGES * PAGE);
	back(&before, "unmapped");
}

static void swapped(void)
{
	struct reuse before;
	char *p;

	reuse_need();
	memcg_enter();
	swap_disk();
	before = reuse_check("before");
	p = mte_map(PAGES * PAGE);
	pattern_set(p, PAGES * PAGE, 5);
	page_out(p, PAGES * PAGE);
	back(&before, "swapped out");
	pattern_check(p, PAGES * PAGE, 5, "swapped in");
	check_reserved(&before, p, PAGES * PAGE, "swapped in");
	munmap(p, PAGES * PAGE);
	reuse_back_from_swap(&before);
}

static void shared_memory(void)
{
	struct reuse before;
	char *p, *q;
	int fd;

	reuse_need();
	before = reuse_check("before");
	fd = memory_file(PAGES * PAGE);
	p = map_file(fd, PAGES * PAGE, PROT_RW_MTE, MAP_SHARED);
	q = map_file(fd, PAGES * PAGE, PROT_RW, MAP_SHARED);
	pattern_set(p, PAGES * PAGE, 6);
	check_reserved(&before, p, PAGES * PAGE, "touched");
	munmap(p, PAGES * PAGE);
	/* The tags belong to the pages of the file. */
	touch_read(q, PAGES * PAGE);
	check_reserved(&before, q, PAGES * PAGE, "mapped only without PROT_MTE");
	munmap(q, PAGES * PAGE);
	close(fd);
	back(&before, "closed");
}

/* Many rounds, in which a leak would add up. */
static void many_rounds(void)
{
	struct reuse before;
	int i;

	reuse_need();
	before = reuse_check("before");
	for (i = 0; i < 300; i++) {
		size_t len = (1 + i * 7 % 90) * PAGE;
		char *p = mte_map(len);
		pid_t pid;

		touch_write(p, len);
		pid = child_fork();
		if (pid == 0) {
			touch_write(p, len / 2);
			_exit(0);
		}
		wait_child(pid);
		munmap(p, len);
	}
	back(&before, "after 300 rounds");
}

PROBE(CASE_SECONDS(files_agree, 10), CASE_SECONDS(touch_and_unmap, 20),
      CASE_SECONDS(half_freed, 20), CASE_SECONDS(huge_page_freed, 20),
      CASE_SECONDS(huge_page_split, 20), CASE_SECONDS(fork_and_write, 20),
      CASE_SECONDS(swapped, 60), CASE_SECONDS(shared_memory, 20), CASE_SECONDS(many_rounds, 60));
