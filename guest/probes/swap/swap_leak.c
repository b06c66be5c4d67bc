/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_leak
 * needs: CONFIG_SWAP CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * disk: yes
 * timeout: 120
 *
 * Saved tags are freed: 128 bytes per page (MTE_PAGE_TAG_STORAGE), in unreclaimable slab.
 * After thousands of pages were swapped out and their entries freed, by each way to free
 * them, SUnreclaim has not grown; a leak of the tags of one page in three would be seen.
 * Replaced tags are freed as well (xa_store() in mte_save_tags()). The data is zero, so
 * that nothing is written to the device (zero map) and a round is cheap.
 *
 * Tags that merely stay with a freed slot go when tagged pages get that slot again. Linux 7.3 gives
 * the next round the slots of this one, so pages without tags take them before.
 */
#include "swap.h"

#define PAGES  512
#define LEN    (PAGES * PAGE)
#define ROUNDS 6
/* A third of the tags of all rounds: 3072 pages of 4 KiB have 384 kB. */
#define ALLOWED_KB (long)(ROUNDS * LEN / GRANULE / 2 / 3 / 1024)

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

/* Swaps out untagged pages, which stay: what was freed before is theirs now. */
static void take_slots(void)
{
	char *p = mmap(NULL, LEN, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	madvise(p, LEN, MADV_NOHUGEPAGE);
	touch_write(p, LEN);
	page_out(p, LEN);
}

/* Checks that the slab does not grow over ROUNDS rounds, after two that fill its caches. */
static void measure(void (*round)(char *p, unsigned int number), char *p, const char *what)
{
	long before = 0, grown;
	unsigned int i;

	for (i = 0; i < ROUNDS + 2; i++) {
		if (i == 2)
			before = meminfo_kb("SUnreclaim");
		round(p, i);
		take_slots();
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

/* Pages that are swapped out again to the same entries: their saved tags are replaced. */
static void round_replaced(char *p, unsigned int number)
{
	out(p, number);
	touch_read(p, LEN);
	NEED(page_flag(p, KPF_SWAPCACHE) && page_flag(p + LEN - PAGE, KPF_SWAPCACHE),
	     "the pages lost their swap entries");
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

static void read_all(char *p)
{
	touch_read(p, LEN);
}

static void round_forked(char *p, unsigned int number)
{
	out(p, number);
	run_child(read_all, p);
	touch_write(p, LEN);
}

static void freed_by_munmap(void)
{
	swap_begin(swap_disk);
	measure(round_munmap, NULL, "munmap of swapped pages");
}

static void freed_by_exit(void)
{
	swap_begin(swap_disk);
	measure(round_exit, NULL, "exit with swapped pages");
}

static void freed_by_swap_in(void)
{
	swap_begin(swap_disk);
	measure(round_swap_in, map(MAP_PRIVATE), "swap-in");
}

static void freed_when_replaced(void)
{
	swap_begin(swap_disk);
	measure(round_replaced, map(MAP_PRIVATE), "tags replaced under the same entry");
}

static void freed_by_swapoff(void)
{
	swap_begin(swap_disk);
	measure(round_swapoff, map(MAP_PRIVATE), "swapoff");
}

static void freed_with_file(void)
{
	swap_begin(swap_disk);
	measure(round_shared, NULL, "shared memory, unmapped swapped or not");
}

static void freed_after_fork(void)
{
	swap_begin(swap_disk);
	measure(round_forked, map(MAP_PRIVATE), "entries shared by fork");
}

PROBE(CASE_SECONDS(freed_by_munmap, 40), CASE_SECONDS(freed_by_exit, 40),
      CASE_SECONDS(freed_by_swap_in, 40), CASE_SECONDS(freed_when_replaced, 40),
      CASE_SECONDS(freed_by_swapoff, 40), CASE_SECONDS(freed_with_file, 40),
      CASE_SECONDS(freed_after_fork, 40));
