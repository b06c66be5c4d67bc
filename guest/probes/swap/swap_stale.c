/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_stale
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * cases: CONFIG_TRANSPARENT_HUGEPAGE large_folio_in_cache large_folio_out
 * newer: 6.8 3485b88390b0 large_folio_in_cache large_folio_out
 * disk: yes
 * timeout: 60
 *
 * The tags saved for a swap entry are freed with the entry: untagged pages that are
 * swapped out to entries that tagged pages used before, swapped in and made PROT_MTE have
 * tag 0. One case for each way to free an entry. swap_range_free() calls
 * arch_swap_invalidate_page() for each entry of a range.
 */
#include "reuse.h"
#include "thp.h"

/*
 * 448 of 640 entries, so that any two such sets share 256. More cannot be used: with fewer
 * than 64 free entries reclaim does not evict the swap cache (mm/vmscan.c
 * get_swappiness()), and with more than 640 each CPU caches some (mm/swap_slots.c).
 */
#define PAGES  448
#define LEN    (PAGES * PAGE)
#define DEVICE 640

static void begin(void)
{
	swap_begin(swap_none);
	swap_disk_of(DEVICE, true);
}

/* Swaps tagged pages out to the device. Their data is zero, so nothing is written. */
static char *tagged_out(int flags)
{
	char *p = mmap(NULL, LEN, PROT_RW_MTE, flags | MAP_ANONYMOUS, -1, 0);
	size_t i;

	MUST(p != MAP_FAILED, "mmap");
	madvise(p, LEN, MADV_NOHUGEPAGE);
	for (i = 0; i < LEN; i += 2 * GRANULE)
		st2g(p + i, 1 + i / PAGE % 15);
	page_out(p, LEN);
	return p;
}

/* Swaps untagged pages out and in; checks that their tags are 0 and their data is kept. */
static void reuse(const char *when)
{
	char *p = mmap(NULL, LEN, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i, bad = 0;

	MUST(p != MAP_FAILED, "mmap");
	madvise(p, LEN, MADV_NOHUGEPAGE);
	for (i = 0; i < LEN; i += PAGE)
		*(volatile uint64_t *)(p + i + 24) = i + 1;
	/* Half of them become PROT_MTE while swapped out, half afterwards. */
	page_out(p, LEN);
	NEED(pagemap_count(p, LEN, PM_SWAP) == PAGES, "not all pages have a swap entry");
	MUST(mprotect(p, LEN / 2, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	touch_read(p, LEN);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, LEN, when);
	for (i = 0; i < LEN; i += PAGE)
		bad += *(volatile uint64_t *)(p + i + 24) != i + 1;
	CHECK_EQ(bad, 0, "%s: pages that lost their data", when);
}

static void by_munmap(void)
{
	begin();
	MUST(munmap(tagged_out(MAP_PRIVATE), LEN) == 0, "munmap");
	reuse("entries freed by munmap");
}

static void by_dontneed(void)
{
	begin();
	MUST(madvise(tagged_out(MAP_PRIVATE), LEN, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	reuse("entries freed by MADV_DONTNEED");
}

static void by_madv_free(void)
{
	begin();
	MUST(madvise(tagged_out(MAP_PRIVATE), LEN, MADV_FREE) == 0, "MADV_FREE");
	reuse("entries freed by MADV_FREE");
}

static void by_exit(void)
{
	begin();
	run_child(tagged_out, MAP_PRIVATE);
	reuse("entries freed by exit");
}

static void by_swap_in(void)
{
	char *p;

	begin();
	p = tagged_out(MAP_PRIVATE);
	/*
	 * A swap-in of locked memory frees the entry in each release; that of other memory does
	 * not always in 7.2 (mm/memory.c should_try_to_free_swap()).
	 */
	MUST(mlock2(p, LEN, MLOCK_ONFAULT) == 0, "mlock2");
	touch_write(p, LEN);
	MUST(munlock(p, LEN) == 0, "munlock");
	reuse("entries freed by swap-in");
}

static void by_swapoff(void)
{
	char *p;

	begin();
	p = tagged_out(MAP_PRIVATE);
	swap_disk_of(DEVICE, true);
	MUST(munmap(p, LEN) == 0, "munmap");
	reuse("entries freed by swapoff");
}

static void by_shared_munmap(void)
{
	begin();
	MUST(munmap(tagged_out(MAP_SHARED), LEN) == 0, "munmap");
	reuse("entries freed with shared memory");
}

static void by_remove(void)
{
	begin();
	MUST(madvise(tagged_out(MAP_SHARED), LEN, MADV_REMOVE) == 0, "MADV_REMOVE");
	reuse("entries freed by MADV_REMOVE");
}

/*
 * Tagged folios of 16 pages. The device has two clusters of 512 entries, of which the first has
 * the header; the folios use the second, and so do the pages that follow them.
 */
static char *large_folios(void)
{
	char *p;
	size_t i;

	/* arch/arm64/Kconfig selects ARCH_WANTS_THP_SWAP for pages of 4 KiB. */
	PAGES_UP_TO(4, "no folio is swapped out as a whole");
	begin();
	swap_disk_of(1024, false);
	folio_write(FOLIO, "enabled", "always");
	p = aligned_map(LEN, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < LEN; i += 2 * GRANULE)
		st2g(p + i, 1 + i / PAGE % 15);
	folio_write(FOLIO, "enabled", "never");
	NEED(in_large_folio(p), "no folio of 16 pages");
	return p;
}

static void need_one_cluster(char *p)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		uint64_t offset = swap_offset_of(p + i * PAGE);
		bool in_step = offset >= 512 && (offset & 15) == (i & 15);

		NEED(in_step, "page %zu is at swap offset %llu", i, (unsigned long long)offset);
	}
}

/*
 * The folios are still in the swap cache when the case writes to them, which frees all
 * entries of a folio by one call of swap_range_free().
 */
static void large_folio_in_cache(void)
{
	char *p = large_folios();
	size_t i;

	memset(p, 0x77, LEN); /* not zero, so that the zero map is not used */
	MUST(madvise(p, LEN, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	need_one_cluster(p);
	wait_writeback();
	NEED(pages_in_memory(p, LEN) == PAGES, "large folios left the swap cache");
	touch_write(p, LEN);
	for (i = 0; i < LEN; i += PAGE)
		CHECK_EQ(ldg(p + i + 64), 1 + i / PAGE % 15, "tag of page %zu", i / PAGE);
	MUST(munmap(p, LEN) == 0, "munmap");
	reuse("entries freed by large folios in the swap cache");
}

/* Large folios that have left the swap cache: 16 entries are freed at a time. */
static void large_folio_out(void)
{
	char *p = large_folios();

	page_out(p, LEN);
	need_one_cluster(p);
	MUST(munmap(p, LEN) == 0, "munmap");
	reuse("entries freed 16 at a time");
}

PROBE(CASE(by_munmap), CASE(by_dontneed), CASE(by_madv_free), CASE(by_exit), CASE(by_swap_in),
      CASE(by_swapoff), CASE(by_shared_munmap), CASE(by_remove), CASE(large_folio_in_cache),
      CASE(large_folio_out));
