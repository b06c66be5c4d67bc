/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_fork
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * disk: fork_while_out_disk one_unmaps one_faults_half out_while_shared swapoff_while_shared
 * timeout: 60
 *
 * Parent and child that share a swapped page each get its tags, in whichever order they
 * fault, write, unmap or exit. The saved tags must outlive the first of the two
 * (swap_free() with a count above 1, mm/swapfile.c), and must be restored to a page that
 * the second finds in the swap cache.
 */
#include "stale.h"
#include "swap.h"

#define LEN (24 * PAGE)

static void (*body)(char *p, const char *who);

static void body_of_child(char *p)
{
	body(p, "child");
}

/* Forks; `run` is called in both processes, in the child after the parent if `later`. */
static void both(void (*run)(char *p, const char *who), char *p, bool later)
{
	struct held_child child;

	body = run;
	child = hold_child(body_of_child, p);
	if (later)
		run(p, "parent, first");
	release_child(&child);
	if (!later)
		run(p, "parent, second");
}

static void reads(char *p, const char *who)
{
	stale_fill(STALE_SMALL, false);
	pattern_check(p, LEN, 1, who);
}

static void writes(char *p, const char *who)
{
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, who);
	pattern_set(p, LEN, 5);
	pattern_check(p, LEN, 5, who);
}

static void unmaps(char *p)
{
	MUST(munmap(p, LEN / 2) == 0, "munmap");
	MUST(madvise(p + LEN / 2, LEN / 2, MADV_DONTNEED) == 0, "MADV_DONTNEED");
}

static char *swapped(void)
{
	char *p = tagged_map(LEN, 1);

	page_out(p, LEN);
	return p;
}

/* fork() of swapped pages: copy_nonpresent_pte() duplicates the entries. */
static void fork_while_out(void)
{
	both(reads, swapped(), false);
	both(reads, swapped(), true);
	both(writes, swapped(), false);
	both(writes, swapped(), true);
}

static void fork_while_out_disk(void)
{
	swap_begin(swap_disk);
	fork_while_out();
}

static void fork_while_out_zram(void)
{
	swap_begin(swap_zram);
	fork_while_out();
}

/* The child unmaps the pages; the parent's entries still have their saved tags. */
static void one_unmaps(void)
{
	char *p;

	swap_begin(swap_disk);
	p = swapped();
	run_child(unmaps, p);
	pattern_check(p, LEN, 1, "parent, after the child unmapped its share");
}

static void fault_half(char *p)
{
	pattern_check(p, LEN / 2, 1, "child, first half");
	touch_write(p, LEN / 4);
	stg(p, 0);
}

/* The child swaps in one half and exits; then the parent swaps in both halves. */
static void one_faults_half(void)
{
	char *p;

	swap_begin(swap_disk);
	p = swapped();
	run_child(fault_half, p);
	stale_fill(STALE_SMALL, false);
	pattern_check(p, LEN, 1, "parent, after the child's fault");
}

static void check_and_swap_copy(char *p)
{
	NEED(pagemap_count(p, LEN, PM_SWAP) == LEN / PAGE, "child: not swapped out");
	pattern_check(p, LEN, 1, "child");
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, "child, copied from the swap cache");
	pattern_set(p, LEN, 2);
	page_out(p, LEN);
	pattern_check(p, LEN, 2, "child, its own page swapped");
}

/* Swapped out while both map it: by reclaim, as MADV_PAGEOUT skips shared pages. */
static void out_while_shared(void)
{
	struct held_child child;
	char *p;

	swap_begin(swap_disk);
	p = tagged_map(LEN, 1);
	child = hold_child(check_and_swap_copy, p);
	page_out(p, LEN);
	release_child(&child);
	stale_fill(STALE_SMALL, false);
	pattern_check(p, LEN, 1, "parent");
}

static void check_and_copy(char *p)
{
	pattern_check(p, LEN, 1, "child, after swapoff");
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, "child, after swapoff, copied");
}

static void swapoff_while_shared(void)
{
	struct held_child child;
	char *p;

	swap_begin(swap_disk);
	p = swapped();
	child = hold_child(check_and_copy, p);
	swap_none();
	release_child(&child);
	pattern_check(p, LEN, 1, "parent, after swapoff");
}

PROBE(CASE(fork_while_out_disk), CASE(fork_while_out_zram), CASE(one_unmaps), CASE(one_faults_half),
      CASE(out_while_shared), CASE(swapoff_while_shared));
