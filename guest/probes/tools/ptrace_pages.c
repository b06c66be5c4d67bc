/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_pages
 * needs: CONFIG_ARM64_MTE CONFIG_SWAP CONFIG_TRANSPARENT_HUGEPAGE CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * disk: peek_swapped poke_swapped poke_then_swap poke_fresh_then_swap
 * timeout: 60
 *
 * PTRACE_PEEKMTETAGS and POKEMTETAGS reach pages that are not mapped as small pages:
 * swapped out, in the swap cache, and any part of a huge page. Tags that were poked are
 * saved when the page is swapped out, like tags that the program set.
 * arch/arm64/kernel/mte.c __access_remote_tags() (page_address() of the page, not of the
 * folio; set_page_dirty_lock()); mm/gup.c follow_page_mask().
 */
#include "ptrace_mte.h"
#include "swap.h"
#include "thp.h"

enum { PAGES = 16, LEN = PAGES * PAGE, COUNT = LEN / GRANULE, SEED = 41, POKED = 42 };

static unsigned char *tags, *poked;

static void start(size_t count)
{
	mte_need();
	tags = malloc(count);
	poked = malloc(count);
	MUST(tags && poked, "malloc");
	pattern_tags(tags, count, SEED, 0);
	pattern_tags(poked, count, POKED, 0);
}

/* --- swap: in a cgroup of the tracee, from which its pages can be swapped out  */

static void map_pattern(void)
{
	memcg_enter();
	tracee->mem = mte_map(LEN);
	pattern_set(tracee->mem, LEN, SEED);
}

static void swap_out(void)
{
	page_out(tracee->mem, LEN);
}

static void check_poked(void)
{
	pattern_check_tags(tracee->mem, tracee->len, POKED, "in the tracee, after a poke");
	pattern_check_data(tracee->mem, tracee->len, SEED, "in the tracee, after a poke");
}

static pid_t start_swapped(void)
{
	pid_t pid;

	start(COUNT);
	swap_disk();
	pid = tracee_start();
	tracee->len = LEN;
	tracee_run(pid, map_pattern);
	tracee_run(pid, swap_out);
	return pid;
}

static void peek_swapped(void)
{
	pid_t pid = start_swapped();

	check_peek(pid, tracee->mem, tags, COUNT, "swapped out");
}

static void poke_swapped(void)
{
	pid_t pid = start_swapped();

	must_poke(pid, tracee->mem, poked, COUNT);
	check_peek(pid, tracee->mem, poked, COUNT, "poked to swapped pages");
	tracee_run(pid, check_poked);
}

static void read_in(void)
{
	touch_read(tracee->mem, LEN);
}

/*
 * Pages that were only read since they were swapped in are clean, so that reclaim may drop
 * them in favour of the copy on disk: poked tags must make them dirty.
 */
static void poke_then_swap(void)
{
	pid_t pid = start_swapped();

	tracee_run(pid, read_in);
	must_poke(pid, tracee->mem, poked, COUNT);
	tracee_run(pid, swap_out);
	check_peek(pid, tracee->mem, poked, COUNT, "poked and swapped out");
	tracee_run(pid, check_poked);
}

static void poke_fresh_then_swap(void)
{
	pid_t pid = start_swapped();

	must_poke(pid, tracee->mem, poked, COUNT);
	tracee_run(pid, swap_out);
	tracee_run(pid, check_poked);
}

/* --- huge pages ----------------------------------------------------------- */

static void map_huge(void)
{
	tracee->mem = thp_map(1, PROT_RW_MTE);
	tracee->mem[0] = 0;
	need_huge(tracee->mem, HUGE, 1);
	pattern_set(tracee->mem, HUGE, SEED);
	need_huge(tracee->mem, HUGE, 1);
}

static pid_t start_huge(void)
{
	pid_t pid;

	HUGE_FITS();
	start(HUGE_GRANULES);
	pid = tracee_start();
	tracee->len = HUGE;
	tracee_run(pid, map_huge);
	return pid;
}

static void every_part_of_a_huge_page(void)
{
	pid_t pid = start_huge();
	size_t page;

	for (page = 0; page < HUGE_PAGES; page += 3) {
		size_t g = page * GRANULES_PER_PAGE + page % 200;

		check_peek(pid, tracee->mem + g * GRANULE, tags + g, 20, "huge page");
	}
	check_peek(pid, tracee->mem, tags, HUGE_GRANULES, "all of a huge page");
	must_poke(pid, tracee->mem, poked, HUGE_GRANULES);
	tracee_run(pid, check_poked);
}

/* A poke of a few tags in one subpage changes those and no others. */
static void poke_one_subpage(void)
{
	pid_t pid = start_huge();
	size_t g = 301 * GRANULES_PER_PAGE - 6, i;

	must_poke(pid, tracee->mem + g * GRANULE, poked + g, 12);
	for (i = 0; i < 12; i++)
		tags[g + i] = poked[g + i];
	check_peek(pid, tracee->mem, tags, HUGE_GRANULES, "12 tags of a huge page poked");
}

/* Maps the huge zero page, by a read of untouched memory. */
static void map_huge_zero(void)
{
	tracee->mem = thp_map(1, PROT_RW_MTE);
	touch_read(tracee->mem, PAGE);
}

static void huge_zero_page(void)
{
	pid_t pid;
	size_t i;

	HUGE_FITS();
	start(HUGE_GRANULES);
	pid = tracee_start();
	tracee_run(pid, map_huge_zero);
	memset(tags, 0, HUGE_GRANULES);
	check_peek(pid, tracee->mem, tags, HUGE_GRANULES, "huge memory that was only read");
	must_poke(pid, tracee->mem + 5 * PAGE, poked, 300);
	for (i = 0; i < 300; i++)
		tags[5 * GRANULES_PER_PAGE + i] = poked[i];
	check_peek(pid, tracee->mem, tags, HUGE_GRANULES, "300 tags poked to it");
	tracee_run(pid, map_huge_zero);
	memset(tags, 0, HUGE_GRANULES);
	check_peek(pid, tracee->mem, tags, HUGE_GRANULES, "other huge memory that was only read");
}

PROBE(CASE(peek_swapped), CASE(poke_swapped), CASE(poke_then_swap), CASE(poke_fresh_then_swap),
      CASE(every_part_of_a_huge_page), CASE(poke_one_subpage), CASE(huge_zero_page));
