/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_zswap
 * needs: CONFIG_ZSWAP CONFIG_SWAP CONFIG_MEMCG CONFIG_DEBUG_FS CONFIG_PROC_PAGE_MONITOR
 * newer: 6.8 7108cc3f765c writeback writeback_swapoff; 6.8 501a06fe8e4c writeback_forbidden
 * disk: yes
 * timeout: 60
 *
 * Tags of pages that are swapped to zswap, and written back from there to the disk. They
 * are saved once, when the page is swapped out (arch_prepare_to_swap() before
 * zswap_store(), mm/page_io.c). zswap's writeback writes a page of its own that never had
 * tags (zswap_writeback_entry(), mm/zswap.c), and must not change the saved tags.
 */
#include "swap.h"
#include "stale.h"

#define LEN   (64 * PAGE)
#define DEBUG "/sys/kernel/debug/zswap/"

static void begin(void)
{
	swap_begin(swap_disk);
	write_file("/sys/module/zswap/parameters/enabled", "Y");
}

/* Tags of the pattern, and data that compresses to half: zswap refuses incompressible data. */
static void fill(char *p, uint64_t seed)
{
	size_t g;

	for (g = 0; g < LEN / GRANULE; g++) {
		uint64_t *word = (uint64_t *)(p + g * GRANULE);

		stg(word, pattern_tag(seed, g));
		word[0] = pattern_hash(seed, g);
		word[1] = g / 8;
	}
}

static void check(char *p, uint64_t seed, const char *when)
{
	size_t g, bad_tags = 0, bad_data = 0;

	for (g = 0; g < LEN / GRANULE; g++) {
		volatile uint64_t *word = (uint64_t *)(p + g * GRANULE);

		bad_tags += ldg(word) != pattern_tag(seed, g);
		bad_data += word[0] != pattern_hash(seed, g) || word[1] != g / 8;
	}
	CHECK(!bad_tags && !bad_data,
	      "%s: expected 0 wrong granules, saw %zu wrong tags, "
	      "%zu wrong data",
	      when, bad_tags, bad_data);
}

static char *tagged(uint64_t seed)
{
	char *p = mte_map(LEN);

	fill(p, seed);
	return p;
}

static void round_trip(void)
{
	char *p;
	long stored, written;
	uint64_t seed;

	begin();
	p = tagged(1);
	for (seed = 1; seed < 4; seed++) {
		fill(p, seed);
		stored = vmstat("zswpout");
		written = vmstat("pswpout");
		page_out(p, LEN);
		NEED(vmstat("zswpout") - stored >= (long)(LEN / PAGE) / 2,
		     "%ld of %zu pages were stored by zswap (%ld written to the disk)",
		     vmstat("zswpout") - stored, LEN / PAGE, vmstat("pswpout") - written);
		NEED(read_long(DEBUG "stored_pages") > 0, "zswap stores no page");
		stale_fill(STALE_SMALL, false);
		if (seed & 1)
			touch_write(p, LEN);
		check(p, seed, "swapped in from zswap");
	}
}

static char *written_back(void)
{
	char *p, *q;
	long before;

	begin();
	p = tagged(1);
	before = vmstat("zswpwb");
	memcg_write("memory.zswap.max", "65536");
	page_out(p, LEN);
	q = tagged(2);
	page_out(q, LEN); /* evicts p to the disk; the shrinker spares an entry once */
	NEED(vmstat("zswpwb") > before, "zswap wrote nothing back");
	MUST(munmap(q, LEN) == 0, "munmap");
	stale_fill(STALE_SMALL, false);
	return p;
}

static void writeback(void)
{
	check(written_back(), 1, "swapped in from the disk behind zswap");
}

static void writeback_swapoff(void)
{
	char *p = written_back();

	swap_none();
	check(p, 1, "swapoff, pages in zswap and on the disk");
}

static void swapoff_from_zswap(void)
{
	char *p;

	begin();
	p = tagged(1);
	page_out(p, LEN);
	stale_fill(STALE_SMALL, false);
	swap_none();
	check(p, 1, "swapoff, pages in zswap");
}

/* zswap is full and may not write back: pages stay in memory, though their tags are saved. */
static void writeback_forbidden(void)
{
	char *p;

	begin();
	p = tagged(1);
	memcg_write("memory.zswap.max", "16384");
	memcg_write("memory.zswap.writeback", "0");
	MUST(madvise(p, LEN, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	memcg_reclaim(LEN);
	NEED(pages_in_memory(p, LEN) > 0, "all pages were swapped out");
	check(p, 1, "refused by zswap");
	fill(p, 2);
	memcg_write("memory.zswap.max", "max");
	memcg_write("memory.zswap.writeback", "1");
	page_out(p, LEN);
	check(p, 2, "refused, retagged, then stored");
}

static void shared_memory(void)
{
	char *p;

	begin();
	p = mmap(NULL, LEN, PROT_RW_MTE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	fill(p, 1);
	page_out(p, LEN);
	NEED(read_long(DEBUG "stored_pages") > 0, "zswap stores no page");
	check(p, 1, "shared memory swapped in from zswap");
}

PROBE(CASE(round_trip), CASE(writeback), CASE(writeback_swapoff), CASE(swapoff_from_zswap),
      CASE(writeback_forbidden), CASE(shared_memory));
