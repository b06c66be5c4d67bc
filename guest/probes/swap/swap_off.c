/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_off
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * fixed: 6.6 332c151c710a prot_none prot_none_mte prot_exec protected_while_out
 * disk: disk ssd prot_none prot_none_mte prot_exec prot_read protected_while_out never_tagged zero_data partly_in rounds lower_type_first higher_type_first two_at_once
 * timeout: 60
 *
 * swapoff brings swapped pages in with their tags: arch_swap_restore() in unuse_pte()
 * (mm/swapfile.c). The tags must not depend on the page being accessible at that time.
 * When one of two devices is switched off, the tags of the other are kept, although both
 * use the same offsets (mte_invalidate_tags_area(), by swap type).
 */
#include "stale.h"
#include "swap.h"

#define LEN (32 * PAGE)

static char *swapped(uint64_t seed)
{
	char *p = tagged_map(LEN, seed);

	page_out(p, LEN);
	return p;
}

/* Switches swap off, and ends the case as failed unless all of p is then in memory. */
static void bring_in(char *p)
{
	stale_fill(STALE_SMALL, false);
	swap_none();
	MUST(pages_in_memory(p, LEN) == LEN / PAGE, "swapoff left %zu of %zu pages swapped out",
	     LEN / PAGE - pages_in_memory(p, LEN), LEN / PAGE);
}

static void accessible(void (*device)(void))
{
	char *p;

	swap_begin(device);
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

	swap_begin(swap_disk);
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

/* The pages become PROT_NONE after they were swapped out. */
static void protected_while_out(void)
{
	char *p;

	swap_begin(swap_disk);
	p = swapped(1);
	MUST(mprotect(p, LEN, PROT_NONE) == 0, "mprotect(PROT_NONE)");
	bring_in(p);
	MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(PROT_RW)");
	pattern_check(p, LEN, 1, "protected while out");
}

/* Untagged pages that become PROT_MTE after swapoff have tag 0 and keep their data. */
static void never_tagged(void)
{
	char *p;

	swap_begin(swap_disk);
	p = untagged_map(LEN);
	memset(p, 0x5a, LEN);
	page_out(p, LEN);
	bring_in(p);
	need_stale(p, LEN, "swapoff");
	check_made_tagged(p, LEN, 0x5a, "untagged, after swapoff");
}

static void zero_data(void)
{
	char *p;

	swap_begin(swap_disk);
	p = mte_map(LEN);
	pattern_set_tags(p, LEN, 1);
	page_out(p, LEN);
	bring_in(p);
	pattern_check_tags(p, LEN, 1, "zero data, after swapoff");
}

/* Before swapoff, some pages are mapped, some only in the swap cache, some swapped out. */
static void partly_in(void)
{
	char *p;

	swap_begin(swap_disk);
	p = swapped(1);
	pattern_check_from(p + 12 * PAGE, PAGE, 1, 12 * GRANULES_PER_PAGE, "one page swapped in");
	bring_in(p);
	pattern_check(p, LEN, 1, "swapoff of partly swapped pages");
}

/* Several rounds, over the same entries. */
static void rounds(void)
{
	char *p = NULL;
	uint64_t seed;

	swap_begin(swap_disk);
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
 * Two devices, with p on the first and q on the second, at the same offsets. The first is
 * filled with other pages before q goes out: a CPU would otherwise go on with the cluster
 * of the device that it used last, whatever the priorities say (7.3, percpu_swap_cluster
 * in mm/swapfile.c). With fewer than 256 free entries no CPU of 6.12 caches any
 * (mm/swap_slots.c). Each device has few more entries than p has pages, so that most of
 * p's and q's offsets are the same, wherever a device starts: 6.1 starts at random
 * (cluster_next in mm/swapfile.c). The multi-generational LRU is off: that of 6.1 swaps
 * nothing out while fewer than 64 entries are free (get_swappiness() in mm/vmscan.c).
 */
enum { SMALL = LEN / PAGE + 8 };
static char *p, *q;

/* Fills the only swap device, and leaves no other page that could go out. */
static void fill_up(void)
{
	size_t i;
	char *r = untagged_map(2 * SMALL * PAGE);

	memset(r, 0x33, 2 * SMALL * PAGE);
	for (i = 0; i < 100 && meminfo_kb("SwapFree") > 0; i++) {
		madvise(r, 2 * SMALL * PAGE, MADV_PAGEOUT);
		memcg_reclaim(SMALL * PAGE);
	}
	for (i = 0; i < 2 * SMALL; i++)
		if (!(pagemap(r + i * PAGE) & PM_SWAP))
			madvise(r + i * PAGE, PAGE, MADV_DONTNEED);
}

static void on_two(const char *first, const char *second)
{
	size_t i, j, same = 0;

	swap_begin(swap_none);
	swap_disk_rotates(false);
	try_write_file("/sys/kernel/mm/lru_gen/enabled", "0"); /* only with CONFIG_LRU_GEN */
	zram_create(64UL << 20);
	swap_add(first, SMALL, 1);
	p = swapped(1);
	fill_up();
	swap_add(second, SMALL, 2); /* has priority from now on */
	q = swapped(2);
	for (i = 0; i < LEN; i += PAGE)
		for (j = 0; j < LEN; j += PAGE)
			same += swap_offset_of(p + i) == swap_offset_of(q + j);
	NEED(swap_type_of(p) != swap_type_of(q), "both are on swap type %u", swap_type_of(p));
	NEED(same > LEN / PAGE / 2, "only %zu swap offsets are used on both devices", same);
}

/* swapoff of the device with the lower type must not drop tags of the higher type. */
static void lower_type_first(void)
{
	on_two(SWAP_DISK, SWAP_ZRAM);
	MUST(swapoff(SWAP_DISK) == 0, "swapoff");
	MUST(pages_in_memory(p, LEN) == LEN / PAGE, "pages of the device are not in memory");
	NEED(pagemap_count(q, LEN, PM_SWAP) == LEN / PAGE,
	     "pages of the other device were swapped in");
	pattern_check(p, LEN, 1, "pages of the device that was switched off");
	pattern_check(q, LEN, 2, "pages of the other device");
}

static void higher_type_first(void)
{
	on_two(SWAP_ZRAM, SWAP_DISK);
	MUST(swapoff(SWAP_DISK) == 0, "swapoff");
	MUST(pages_in_memory(q, LEN) == LEN / PAGE, "pages of the device are not in memory");
	NEED(pagemap_count(p, LEN, PM_SWAP) == LEN / PAGE,
	     "pages of the other device were swapped in");
	pattern_check(q, LEN, 2, "pages of the device that was switched off");
	swap_none();
	pattern_check(p, LEN, 1, "pages of the device that was switched off later");
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
