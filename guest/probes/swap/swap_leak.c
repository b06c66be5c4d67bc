/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_leak
 * needs: CONFIG_SWAP CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * timeout: 120
 *
 * Saved tags are freed: 128 bytes a page (MTE_PAGE_TAG_STORAGE), in unreclaimable
 * slab. After thousands of pages went out and their entries were freed, by each
 * way, SUnreclaim is where it was; a leak of one page's tags in three would show.
 * Replaced tags are freed as well (xa_store() in mte_save_tags()). The data is
 * zero, so that nothing is written (zero map) and a round costs little.
 */
#include "pin.h"
#include "swap.h"

#define PAGES  512
#define LEN    (PAGES * PAGE)
#define ROUNDS 6
/* 3072 pages, 384 kB of tags; 128 kB is a third. */
#define ALLOWED_KB 128

static void begin(void)
{
	mte_need();
	pin_cpu(0);
	memcg_enter();
	swap_disk();
}

static char *map(int flags)
{
	char *p = mmap(NULL, LEN, PROT_RW_MTE, flags | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	madvise(p, LEN, MADV_NOHUGEPAGE);
	return p;
}

static void tag(char *p, unsigned int value)
{
	size_t i;

	for (i = 0; i < LEN; i += PAGE)
		stg(p + i, value);
}

/* The rounds, after two that fill the caches; then the slab is as it was. */
static void measure(void (*round)(char *p, unsigned int number), char *p, const char *what)
{
	long before = 0, grown;
	unsigned int i;

	for (i = 0; i < ROUNDS + 2; i++) {
		if (i == 2)
			before = meminfo_kb("SUnreclaim");
		round(p, i);
	}
	grown = meminfo_kb("SUnreclaim") - before;
	CHECK(grown < ALLOWED_KB,
	      "%s: expected SUnreclaim to stay, saw it grow by %ld kB over "
	      "%d pages",
	      what, grown, ROUNDS * PAGES);
}

static void out(char *p, unsigned int number)
{
	tag(p, 1 + number % 15);
	page_out(p, LEN);
}

static void round_munmap(char *p, unsigned int number)
{
	p = map(MAP_PRIVATE);
	out(p, number);
	MUST(munmap(p, LEN) == 0, "munmap");
}

static void round_exit(char *p, unsigned int number)
{
	pid_t child = child_fork();

	(void)p;
	if (child == 0) {
		out(map(MAP_PRIVATE), number);
		_exit(0);
	}
	wait_child(child);
}

static void round_swap_in(char *p, unsigned int number)
{
	out(p, number);
	touch_write(p, LEN);
	CHECK_EQ(ldg(p), 1 + number % 15, "the tag of this round");
}

/* Read in, retagged in the swap cache, out again under the same entry: replaced. */
static void round_replaced(char *p, unsigned int number)
{
	out(p, number);
	touch_read(p, LEN);
	MUST(page_flag(p, KPF_SWAPCACHE) && page_flag(p + LEN - PAGE, KPF_SWAPCACHE),
	     "the pages gave up their swap entries");
}

static void round_swapoff(char *p, unsigned int number)
{
	out(p, number);
	swap_none();
	CHECK_EQ(ldg(p), 1 + number % 15, "the tag of this round");
	swap_disk();
}

static void round_shared(char *p, unsigned int number)
{
	p = map(MAP_SHARED);
	out(p, number);
	if (number % 2)
		touch_read(p, LEN);
	MUST(munmap(p, LEN) == 0, "munmap");
}

static void round_forked(char *p, unsigned int number)
{
	pid_t child;

	out(p, number);
	child = child_fork();
	if (child == 0) {
		touch_read(p, LEN);
		_exit(0);
	}
	wait_child(child);
	touch_write(p, LEN);
}

static void freed_by_munmap(void)
{
	begin();
	measure(round_munmap, NULL, "munmap of swapped pages");
}

static void freed_by_exit(void)
{
	begin();
	measure(round_exit, NULL, "exit with swapped pages");
}

static void freed_by_swap_in(void)
{
	begin();
	measure(round_swap_in, map(MAP_PRIVATE), "swap-in");
}

static void freed_when_replaced(void)
{
	begin();
	measure(round_replaced, map(MAP_PRIVATE), "tags replaced under the same entry");
}

static void freed_by_swapoff(void)
{
	begin();
	measure(round_swapoff, map(MAP_PRIVATE), "swapoff");
}

static void freed_with_file(void)
{
	begin();
	measure(round_shared, NULL, "shared memory, unmapped swapped or not");
}

static void freed_after_fork(void)
{
	begin();
	measure(round_forked, map(MAP_PRIVATE), "entries shared by fork");
}

PROBE(CASE_SECONDS(freed_by_munmap, 40), CASE_SECONDS(freed_by_exit, 40),
      CASE_SECONDS(freed_by_swap_in, 40), CASE_SECONDS(freed_when_replaced, 40),
      CASE_SECONDS(freed_by_swapoff, 40), CASE_SECONDS(freed_with_file, 40),
      CASE_SECONDS(freed_after_fork, 40));
