/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_fork
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * A swapped page that parent and child share: each gets its tags, in whatever
 * order they fault, write, unmap or exit. The saved tags must outlive the
 * first of the two (swap_free() with a count above 1, mm/swapfile.c) and be
 * restored to a page that the second finds in the swap cache.
 */
#include "stale.h"
#include "swap.h"

#define LEN (24 * PAGE)

static void begin(void (*device)(void))
{
	mte_need();
	pin_cpu(0);
	memcg_enter();
	device();
}

/* Forks; both run `body`, the child first to its end or, if `later`, second. */
static void both(void (*body)(char *p, const char *who), char *p, bool later)
{
	char byte = 0;
	int go[2];
	pid_t child;

	MUST(pipe(go) == 0, "pipe");
	child = child_fork();
	if (child == 0) {
		MUST(read(go[0], &byte, 1) == 1, "read");
		body(p, "child");
		_exit(0);
	}
	if (later)
		body(p, "parent, first");
	MUST(write(go[1], &byte, 1) == 1, "write");
	wait_child(child);
	if (!later)
		body(p, "parent, second");
}

static void reads(char *p, const char *who)
{
	stale_fill(HUGE, false);
	pattern_check(p, LEN, 1, who);
}

static void writes(char *p, const char *who)
{
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, who);
	pattern_set(p, LEN, 5);
	pattern_check(p, LEN, 5, who);
}

static void unmaps(char *p, const char *who)
{
	(void)who;
	MUST(munmap(p, LEN / 2) == 0, "munmap");
	MUST(madvise(p + LEN / 2, LEN / 2, MADV_DONTNEED) == 0, "MADV_DONTNEED");
}

static char *swapped(void)
{
	char *p = mte_map(LEN);

	pattern_set(p, LEN, 1);
	page_out(p, LEN);
	return p;
}

/* fork while out: copy_nonpresent_pte() duplicates the entries. */
static void fork_while_out(void)
{
	both(reads, swapped(), false);
	both(reads, swapped(), true);
	both(writes, swapped(), false);
	both(writes, swapped(), true);
}

static void fork_while_out_disk(void)
{
	begin(swap_disk);
	fork_while_out();
}

static void fork_while_out_zram(void)
{
	begin(swap_zram);
	fork_while_out();
}

/* The child gives its share up; the parent's entry still has its tags. */
static void one_unmaps(void)
{
	char *p;
	pid_t child;

	begin(swap_disk);
	p = swapped();
	child = child_fork();
	if (child == 0) {
		unmaps(p, "child");
		_exit(0);
	}
	wait_child(child);
	pattern_check(p, LEN, 1, "parent, after the child unmapped its share");
}

/* Half is faulted in by the child, which exits; then both halves by the parent. */
static void one_faults_half(void)
{
	char *p;
	pid_t child;

	begin(swap_disk);
	p = swapped();
	child = child_fork();
	if (child == 0) {
		pattern_check(p, LEN / 2, 1, "child, first half");
		touch_write(p, LEN / 4);
		stg(p, 0);
		_exit(0);
	}
	wait_child(child);
	stale_fill(HUGE, false);
	pattern_check(p, LEN, 1, "parent, after the child's fault");
}

/* Out while both have it mapped: reclaim, for MADV_PAGEOUT leaves shared pages alone. */
static void out_while_shared(void)
{
	char *p, byte = 0;
	int go[2];
	pid_t child;

	begin(swap_disk);
	p = mte_map(LEN);
	pattern_set(p, LEN, 1);
	MUST(pipe(go) == 0, "pipe");
	child = child_fork();
	if (child == 0) {
		MUST(read(go[0], &byte, 1) == 1, "read");
		MUST(pagemap_count(p, LEN, PM_SWAP) == LEN / PAGE, "child: not swapped out");
		pattern_check(p, LEN, 1, "child");
		touch_write(p, LEN);
		pattern_check(p, LEN, 1, "child, copied from the swap cache");
		pattern_set(p, LEN, 2);
		page_out(p, LEN);
		pattern_check(p, LEN, 2, "child, its own page swapped");
		_exit(0);
	}
	page_out(p, LEN);
	MUST(write(go[1], &byte, 1) == 1, "write");
	wait_child(child);
	stale_fill(HUGE, false);
	pattern_check(p, LEN, 1, "parent");
}

static void swapoff_while_shared(void)
{
	char *p, byte = 0;
	int go[2];
	pid_t child;

	begin(swap_disk);
	p = swapped();
	MUST(pipe(go) == 0, "pipe");
	child = child_fork();
	if (child == 0) {
		MUST(read(go[0], &byte, 1) == 1, "read");
		pattern_check(p, LEN, 1, "child, after swapoff");
		touch_write(p, LEN);
		pattern_check(p, LEN, 1, "child, after swapoff, copied");
		_exit(0);
	}
	swap_none();
	MUST(write(go[1], &byte, 1) == 1, "write");
	wait_child(child);
	pattern_check(p, LEN, 1, "parent, after swapoff");
}

PROBE(CASE(fork_while_out_disk), CASE(fork_while_out_zram), CASE(one_unmaps), CASE(one_faults_half),
      CASE(out_while_shared), CASE(swapoff_while_shared));
