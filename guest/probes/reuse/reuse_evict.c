/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_evict
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR CONFIG_HUGETLBFS
 * disk: data_make_room all_becomes_tagged storage_becomes_tagged
 * timeout: 480
 *
 * Tag storage is used for data when other memory becomes scarce, and reclaimed from it
 * when pages become tagged: alloc_contig_range() moves the data elsewhere, and neither
 * data nor tags are lost. mm/page_alloc.c rmqueue_metadata(),
 * arch/arm64/mm/mte_tag_storage.c get_page_storage(), mm/memory_metadata.c
 * do_metadata_none_page().
 */
#include "reuse_data.h"

#define TAGGED 512

/*
 * Reading /proc/self/pagemap takes kernel memory (a slab of four pages), and there is no
 * swap. Each CPU's free list may hold 8 MiB, which the kernel does not drain if it can
 * reclaim nothing (__alloc_pages_direct_reclaim()), and the kernel cannot use CMA memory
 * for this. Free memory may then be below the watermark, which is an OOM kill on any
 * kernel. A lower watermark prevents it.
 */
static void set_reserve(long kb)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", kb);
	write_file("/proc/sys/vm/min_free_kbytes", text);
}

static void storage_holds_data(void)
{
	const long reserve = read_long("/proc/sys/vm/min_free_kbytes");
	struct reuse before, full;
	size_t len, inside;
	char *p;

	reuse_need();
	before = reuse_check("before");
	p = plain_memory(&len);
	set_reserve(reserve / 4);
	full = reuse_check("memory is full");
	inside = reuse_in_storage(p, len);
	ktap_note("%zu KiB filled; %zu of %ld pages of storage hold data of this program",
		  len / 1024, inside, before.total);
	CHECK(inside >= (size_t)(before.total - before.reserved) * 90 / 100,
	      "%zu of %ld pages of storage hold data while memory is full", inside, before.total);
	CHECK(full.data >= (long)inside,
	      "%ld pages of storage hold data, %zu of them data of this program", full.data,
	      inside);
	set_reserve(reserve);
	plain_end(p, len, "in memory");
	reuse_back(&before, "unmapped");
}

/* A little memory becomes tagged while tag storage is full of data. */
static void data_make_room(void)
{
	struct reuse before, full, now;
	char *p, *t;
	size_t len;

	reuse_need();
	swap_disk();
	before = reuse_check("before");
	p = plain_memory(&len);
	full = reuse_check("memory is full");
	t = mte_map(TAGGED * PAGE);
	pattern_set(t, TAGGED * PAGE, 1);
	reuse_check_tagged(t, TAGGED * PAGE, "memory is full");
	now = reuse_check("tagged");
	CHECK(now.reserved > full.reserved, "nothing reserved for %d tagged pages", TAGGED);
	plain_check(p, len, "data evicted from storage");
	pattern_check(t, TAGGED * PAGE, 1, "data evicted from storage");
	munmap(t, TAGGED * PAGE);
	reuse_back(&before, "tagged memory unmapped");
	plain_end(p, len, "tagged memory unmapped");
	swap_none();
}

/* Sets tags of the first and the last granule of each page, which follow from its address. */
static void tag_pages(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE) {
		stg(p + i, 1 + ((uintptr_t)(p + i) / PAGE) % 15);
		stg(p + i + PAGE - GRANULE, 1 + ((uintptr_t)(p + i) / PAGE + 7) % 15);
		((uint64_t *)(p + i))[4] = (uintptr_t)p + i;
	}
}

static void check_tagged_pages(char *p, size_t len, const char *when)
{
	size_t i, tags = 0, data = 0;

	for (i = 0; i < len; i += PAGE) {
		tags += ldg(p + i) != 1 + ((uintptr_t)(p + i) / PAGE) % 15 ||
			ldg(p + i + GRANULE) != 0 ||
			ldg(p + i + PAGE - GRANULE) != 1 + ((uintptr_t)(p + i) / PAGE + 7) % 15;
		data += ((uint64_t *)(p + i))[4] != (uintptr_t)p + i;
	}
	CHECK_EQ(tags, 0, "%s: pages with wrong tags", when);
	CHECK_EQ(data, 0, "%s: tagged pages with wrong data", when);
}

/*
 * All of memory changes from plain data to tagged memory, piece by piece. The pieces that
 * were filled last, which are in tag storage, are unmapped last, so that the kernel has to
 * move them. The others are checked from the last to the first: in the other order each
 * would be swapped out just before it is read.
 */
static void all_becomes_tagged(void)
{
	const size_t piece = 8UL << 20;
	size_t len, at, n, i, others;
	struct reuse before;
	char *p, *t;

	reuse_need();
	swap_disk();
	before = reuse_check("before");
	p = plain_memory(&len);
	n = len / piece;
	others = n * 7 / 8;
	t = mte_map(n * piece);
	for (i = 0; i < n; i++) {
		at = (i < others ? others - 1 - i : i) * piece;
		plain_check(p + at, piece, "before it is unmapped");
		munmap(p + at, piece);
		tag_pages(t + at, piece);
	}
	reuse_check("all is tagged");
	for (at = 0; at < n * piece; at += piece) {
		check_tagged_pages(t + at, piece, "all is tagged");
		munmap(t + at, piece);
	}
	munmap(p + n * piece, len - n * piece);
	reuse_back_from_swap(&before);
}

/* Pages that are in tag storage become PROT_MTE: the kernel has to move them out of it. */
static void storage_becomes_tagged(void)
{
	const size_t piece = 4UL << 20;
	size_t len, at, inside = 0, i;
	struct reuse before;
	char *p, *found = NULL;

	reuse_need();
	swap_disk();
	before = reuse_check("before");
	p = plain_memory(&len);
	for (at = 0; at + piece <= len && !found; at += piece) {
		inside = reuse_in_storage(p + at, piece);
		if (inside > 256)
			found = p + at;
	}
	NEED(found, "no data in storage");
	ktap_note("%zu of %zu pages are in tag storage", inside, piece / PAGE);
	MUST(mprotect(found, piece, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
	plain_check(found, piece, "made PROT_MTE");
	for (i = 0; i < piece; i += PAGE)
		if (ldg(found + i) || ldg(found + i + PAGE - GRANULE))
			CHECK(false, "page %zu has tags when it is made PROT_MTE", i / PAGE);
	for (i = 0; i < piece; i += PAGE)
		if (page_present(found + i))
			reuse_check_tagged(found + i, PAGE, "made PROT_MTE");
	tag_pages(found, piece);
	check_tagged_pages(found, piece, "moved out of tag storage");
	munmap(found, piece);
	plain_end(p, found - p, "others were made PROT_MTE");
	plain_end(found + piece, p + len - found - piece, "others were made PROT_MTE");
	reuse_back_from_swap(&before);
}

/*
 * The pool of hugetlb pages never releases its memory: if it had tag storage, the memory
 * with tags there could never be tagged. So it must get no tag storage, even when it is
 * told to take all memory.
 */
static void pool_of_huge_pages(void)
{
	struct reuse before;
	long total, inside = 0;
	uint64_t pfn;
	char all[32];
	int i;

	reuse_need();
	before = reuse_check("before");
	snprintf(all, sizeof(all), "%ld", meminfo_kb("MemTotal") / meminfo_kb("Hugepagesize"));
	write_file("/proc/sys/vm/nr_hugepages", all);
	total = meminfo_kb("HugePages_Total");
	for (i = 0; i < reuse_count; i++)
		for (pfn = reuse_regions[i].storage; pfn < reuse_regions[i].storage_end; pfn++)
			inside += kpageflag(pfn, KPF_HUGE);
	write_file("/proc/sys/vm/nr_hugepages", "0");
	ktap_note("%ld huge pages of %s", total, all);
	NEED(total > 100, "a pool of %ld huge pages", total);
	CHECK_EQ(inside, 0, "pages of storage in the pool");
	reuse_back(&before, "released");
}

PROBE(CASE_SECONDS(storage_holds_data, 60), CASE_SECONDS(data_make_room, 120),
      CASE_SECONDS(all_becomes_tagged, 360), CASE_SECONDS(storage_becomes_tagged, 120),
      CASE_SECONDS(pool_of_huge_pages, 60));
