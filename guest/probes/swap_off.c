/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_off
 * area: swap
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * swapoff with pages still out brings them in with their tags: arch_swap_restore()
 * in unuse_pte() (mm/swapfile.c). The tags must not depend on the page being
 * accessible at that time. One device of two: the other's tags stay, although
 * both use the same offsets (mte_invalidate_tags_area(), by type).
 */
#include "stale.h"
#include "swap.h"

#define LEN	(32 * PAGE)

static void begin(void (*device)(void))
{
	mte_need();
	pin_cpu(0);
	memcg_enter();
	device();
}

static char *swapped(uint64_t seed)
{
	char *p = mte_map(LEN);

	pattern_set(p, LEN, seed);
	page_out(p, LEN);
	return p;
}

/* Ends swapping; then all of p is in memory. */
static void bring_in(char *p)
{
	dirty_fill(HUGE, false);
	swap_none();
	MUST(pages_in_memory(p, LEN) == LEN / PAGE, "swapoff left %zu of %zu pages out",
	     LEN / PAGE - pages_in_memory(p, LEN), LEN / PAGE);
}

static void accessible(void (*device)(void))
{
	char *p;

	begin(device);
	p = swapped(1);
	bring_in(p);
	pattern_check(p, LEN, 1, "after swapoff");
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, "after swapoff and a write");
}

static void disk(void)
{
	accessible(swap_disk);
}

static void ssd(void)
{
	accessible(swap_ssd);
}

static void zram(void)
{
	accessible(swap_zram);
}

static void protected(int prot)
{
	char *p;

	begin(swap_disk);
	p = mte_map(LEN);
	pattern_set(p, LEN, 1);
	MUST(mprotect(p, LEN, prot) == 0, "mprotect(%#x)", prot);
	page_out(p, LEN);
	bring_in(p);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_RW_MTE)");
	pattern_check(p, LEN, 1, "accessible again after swapoff");
}

static void prot_none(void)
{
	protected(PROT_NONE);
}

static void prot_none_mte(void)
{
	protected(PROT_NONE | PROT_MTE);
}

static void prot_exec(void)
{
	protected(PROT_EXEC);
}

static void prot_read(void)
{
	protected(PROT_READ);
}

/* Swapped while accessible, protected while out. */
static void protected_while_out(void)
{
	char *p;

	begin(swap_disk);
	p = swapped(1);
	MUST(mprotect(p, LEN, PROT_NONE) == 0, "mprotect(PROT_NONE)");
	bring_in(p);
	MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(PROT_RW)");
	pattern_check(p, LEN, 1, "protected while out");
}

/* Never tagged: 0 after swapoff and PROT_MTE, and the data is there. */
static void untagged(void)
{
	size_t i, bad = 0;
	char *p;

	begin(swap_disk);
	p = mmap(NULL, LEN, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	memset(p, 0x5a, LEN);
	page_out(p, LEN);
	bring_in(p);
	must_be_dirty(p, LEN, "swapoff");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, LEN, "untagged, after swapoff");
	for (i = 0; i < LEN; i++)
		bad += p[i] != 0x5a;
	CHECK_EQ(bad, 0, "bytes that changed");
}

static void zero_data(void)
{
	char *p;
	size_t g;

	begin(swap_disk);
	p = mte_map(LEN);
	for (g = 0; g < LEN / GRANULE; g++)
		stg(p + g * GRANULE, pattern_tag(1, g));
	page_out(p, LEN);
	bring_in(p);
	for (g = 0; g < LEN / GRANULE; g++)
		if (!CHECK_EQ(ldg(p + g * GRANULE), pattern_tag(1, g), "tag of granule %zu", g))
			break;
}

/* Some pages mapped again, some only read ahead into the swap cache, some out. */
static void partly_in(void)
{
	char *p;

	begin(swap_disk);
	p = swapped(1);
	pattern_check_from(p + 12 * PAGE, PAGE, 1, 12 * GRANULES_PER_PAGE, "one page in");
	bring_in(p);
	pattern_check(p, LEN, 1, "swapoff, partly in before");
}

/* Again and again over the same entries. */
static void rounds(void)
{
	char *p = NULL;
	uint64_t seed;

	begin(swap_disk);
	p = mte_map(LEN);
	for (seed = 1; seed < 5; seed++) {
		pattern_set(p, LEN, seed);
		page_out(p, LEN);
		swap_none();
		pattern_check(p, LEN, seed, "after swapoff");
		swap_disk();
	}
}

/* Two devices with pages at the same offsets; `first` goes, and `second` stays. */
static void one_of_two(const char *first, const char *second)
{
	uint64_t offsets[LEN / PAGE], same = 0;
	size_t i, j;
	char *p, *q;

	begin(swap_none);
	write_file("/sys/block/vdb/queue/rotational", "0");
	zram_create(64UL << 20);
	swap_add(first, 4096, 1);
	p = swapped(1);
	swap_add(second, 4096, 2);	/* preferred from now on */
	q = swapped(2);
	MUST(swap_type_of(p) != swap_type_of(q), "both are on type %u", swap_type_of(p));
	for (i = 0; i < LEN / PAGE; i++)
		offsets[i] = swap_offset_of(p + i * PAGE);
	for (i = 0; i < LEN / PAGE; i++)
		for (j = 0; j < LEN / PAGE; j++)
			same += swap_offset_of(q + i * PAGE) == offsets[j];
	MUST(same > LEN / PAGE / 2, "%llu offsets are used on both", (unsigned long long)same);

	MUST(swapoff(first) == 0, "swapoff %s", first);
	MUST(pages_in_memory(p, LEN) == LEN / PAGE, "the first device's pages are not in");
	MUST(pages_in_memory(q, LEN) == 0, "the second device's pages came in");
	pattern_check(p, LEN, 1, "pages of the device that went");
	pattern_check(q, LEN, 2, "pages of the device that stayed");
	/* The type that is free now is taken again, beside the other. */
	pattern_set(p, LEN, 3);
	pattern_set(q, LEN, 4);
	page_out(q, LEN);
	swap_add(first, 4096, 3);
	page_out(p, LEN);
	MUST(swap_type_of(p) != swap_type_of(q), "both are on type %u", swap_type_of(p));
	MUST(swapoff(second) == 0, "swapoff %s", second);
	pattern_check(q, LEN, 4, "pages of the second device, gone later");
	pattern_check(p, LEN, 3, "pages of the first device, which is back");
}

static void first_of_two(void)
{
	one_of_two(SWAP_DISK, SWAP_ZRAM);
}

static void zram_of_two(void)
{
	one_of_two(SWAP_ZRAM, SWAP_DISK);
}

/* Pages of both devices in one VMA, read while both are on. */
static void two_devices_at_once(void)
{
	char *p, *q;

	begin(swap_none);
	write_file("/sys/block/vdb/queue/rotational", "0");
	zram_create(64UL << 20);
	swap_add(SWAP_DISK, 4096, 1);
	p = swapped(1);
	swap_add(SWAP_ZRAM, 4096, 2);
	q = swapped(2);
	MUST(swap_type_of(p) != swap_type_of(q), "both are on type %u", swap_type_of(p));
	pattern_check(q, LEN, 2, "on the second device");
	pattern_check(p, LEN, 1, "on the first device");
}

PROBE(
	{ "disk", disk, 0 },
	{ "ssd", ssd, 0 },
	{ "zram", zram, 0 },
	{ "prot_none", prot_none, 0 },
	{ "prot_none_mte", prot_none_mte, 0 },
	{ "prot_exec", prot_exec, 0 },
	{ "prot_read", prot_read, 0 },
	{ "protected_while_out", protected_while_out, 0 },
	{ "untagged", untagged, 0 },
	{ "zero_data", zero_data, 0 },
	{ "partly_in", partly_in, 0 },
	{ "rounds", rounds, 0 },
	{ "first_of_two", first_of_two, 0 },
	{ "zram_of_two", zram_of_two, 0 },
	{ "two_devices_at_once", two_devices_at_once, 0 },
)
