/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_pressure
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * disk: memory_high forked_under_pressure swap_full
 * timeout: 60
 *
 * A tagged working set that is larger than its cgroup allows is walked again and again:
 * reclaim chooses the pages, faults and writeback overlap, and every granule must be right
 * each time. With swap that is too small, pages for which there is no room stay in memory
 * with their tags, and the others come back with theirs.
 */
#include "stale.h"
#include "swap.h"

#define LEN (1024 * PAGE)

/* Allows the case's cgroup three quarters of LEN: "memory.max" or "memory.high". */
static void allow(const char *file)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", LEN / 4 * 3);
	memcg_write(file, text);
}

/* Checks all pages in each round, and retags a third of them. */
static void walk(char *p, int rounds)
{
	uint8_t seeds[LEN / PAGE] = { 0 };
	long before = vmstat("pswpout");
	size_t i;
	int round;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < LEN / PAGE; i++) {
			if (seeds[i] &&
			    pattern_check(p + i * PAGE, PAGE, seeds[i], "under pressure"))
				ktap_note("page %zu, round %d", i, round);
			if (i % 3 == (size_t)round % 3 || !round) {
				seeds[i] = 1 + (i + round * 31) % 250;
				pattern_set(p + i * PAGE, PAGE, seeds[i]);
			}
		}
	}
	NEED(vmstat("pswpout") - before > (long)(LEN / PAGE) / 4, "only %ld pages were swapped",
	     vmstat("pswpout") - before);
}

/*
 * With zram, which writes at once. Of a disk, all pages of a small cgroup may be under
 * writeback, and reclaim that finds no other ends in an OOM kill (mm/vmscan.c
 * shrink_folio_list(), mm/memcontrol.c try_charge_memcg()). memory.high waits instead.
 */
static void memory_max(void)
{
	swap_begin(swap_zram);
	allow("memory.max");
	walk(mte_map(LEN), 3);
}

static void memory_high(void)
{
	swap_begin(swap_disk);
	allow("memory.high");
	walk(mte_map(LEN), 2);
}

/* Parent and child share the pages, under the same limit. */
static void forked_under_pressure(void)
{
	size_t len = LEN / 2;
	pid_t child;
	char *p;

	swap_begin(swap_disk);
	allow("memory.high");
	p = tagged_map(len, 1);
	child = child_fork();
	if (child == 0) {
		touch_write(p, len);
		pattern_check(p, len, 1, "child's copy, under pressure");
		pattern_set(p, len, 2);
		pattern_check(p, len, 2, "child's own, under pressure");
		_exit(0);
	}
	pattern_check(p, len, 1, "parent, under pressure");
	wait_child(child);
	pattern_check(p, len, 1, "parent, after the child");
}

static void swap_full(void)
{
	size_t len = 256 * PAGE, out;
	char *p;

	swap_begin(swap_none);
	swap_disk_of(129, true);
	p = tagged_map(len, 1);
	MUST(madvise(p, len, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	memcg_reclaim(len);
	out = pagemap_count(p, len, PM_SWAP);
	NEED(out > 64 && out < len / PAGE, "%zu of %zu pages were swapped to a device of 128", out,
	     len / PAGE);
	stale_fill(STALE_SMALL, false);
	pattern_check(p, len, 1, "swap was full");
	pattern_set(p, len, 2);
	MUST(madvise(p, len, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	pattern_check(p, len, 2, "swap was full again");
}

PROBE(CASE_SECONDS(memory_max, 30), CASE_SECONDS(memory_high, 30),
      CASE_SECONDS(forked_under_pressure, 30), CASE(swap_full));
