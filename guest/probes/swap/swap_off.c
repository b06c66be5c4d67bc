/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_off
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

#define LEN (32 * PAGE)

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
	stale_fill(HUGE, false);
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
static void never_tagged(void)
{
	size_t i, bad = 0;
	char *p;

	begin(swap_disk);
	p = mmap(NULL, LEN, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	memset(p, 0x5a, LEN);
	page_out(p, LEN);
	bring_in(p);
	must_be_stale(p, LEN, "swapoff");
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

/*
 * Two devices, p on the first and q on the second, at the same offsets. With
 * fewer than 256 free entries no CPU keeps entries of the first device aside
 * for q (mm/swap_slots.c).
 */
enum { SMALL = 200 };
static char *p, *q;

static void on_two(const char *first, const char *second)
{
	size_t i, j, same = 0;

	begin(swap_none);
	write_file("/sys/block/vdb/queue/rotational", "0");
	zram_create(64UL << 20);
	swap_add(first, SMALL, 1);
	p = swapped(1);
	swap_add(second, SMALL, 2); /* preferred from now on */
	q = swapped(2);
	for (i = 0; i < LEN; i += PAGE)
		for (j = 0; j < LEN; j += PAGE)
			same += swap_offset_of(p + i) == swap_offset_of(q + j);
	MUST(swap_type_of(p) != swap_type_of(q), "both are on type %u", swap_type_of(p));
	MUST(same > LEN / PAGE / 2, "only %zu offsets are used on both", same);
}

/* The lower type goes first: the tags of the higher are not its own. */
static void lower_type_first(void)
{
	on_two(SWAP_DISK, SWAP_ZRAM);
	MUST(swapoff(SWAP_DISK) == 0, "swapoff");
	MUST(pages_in_memory(p, LEN) == LEN / PAGE, "the device's pages are not in");
	MUST(pagemap_count(q, LEN, PM_SWAP) == LEN / PAGE, "the other device's pages came in");
	pattern_check(p, LEN, 1, "pages of the device that went");
	pattern_check(q, LEN, 2, "pages of the device that stayed");
}

static void higher_type_first(void)
{
	on_two(SWAP_ZRAM, SWAP_DISK);
	MUST(swapoff(SWAP_DISK) == 0, "swapoff");
	MUST(pages_in_memory(q, LEN) == LEN / PAGE, "the device's pages are not in");
	MUST(pagemap_count(p, LEN, PM_SWAP) == LEN / PAGE, "the other device's pages came in");
	pattern_check(q, LEN, 2, "pages of the device that went");
	swap_none();
	pattern_check(p, LEN, 1, "pages of the device that went later");
}

static void two_at_once(void)
{
	on_two(SWAP_DISK, SWAP_ZRAM);
	pattern_check(q, LEN, 2, "on the second device");
	pattern_check(p, LEN, 1, "on the first device");
}

PROBE(CASE(disk), CASE(ssd), CASE(zram), CASE(prot_none), CASE(prot_none_mte), CASE(prot_exec),
      CASE(prot_read), CASE(protected_while_out), CASE(never_tagged), CASE(zero_data),
      CASE(partly_in), CASE(rounds), CASE(lower_type_first), CASE(higher_type_first),
      CASE(two_at_once));
