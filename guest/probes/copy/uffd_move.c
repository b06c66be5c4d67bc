/* SPDX-License-Identifier: MIT */
/*
 * probe: uffd_move
 * needs: CONFIG_USERFAULTFD CONFIG_PROC_PAGE_MONITOR CONFIG_TRANSPARENT_HUGEPAGE CONFIG_SWAP CONFIG_MEMCG
 * since: 6.8 adef440691ba
 * disk: swapped_out swap_cache
 * timeout: 60
 * smoke: yes
 *
 * UFFDIO_MOVE (Linux 6.8) moves a page with its tags to another address, also a swapped
 * page and a huge page. It refuses to move between memory with and without PROT_MTE. The
 * old address has new memory afterwards. Exercises move_present_pte(), move_swap_pte(),
 * move_zeropage_pte(), move_pages_huge_pmd().
 */
#include "stale.h"
#include "swap.h"
#include "uffd.h"

#define PAGES 16
#define LEN   (PAGES * PAGE)

static int fd;

/* Empty memory that pages can be moved to. */
static char *target(size_t len, int prot)
{
	char *p = aligned_map(len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	mte_need();
	pin_cpu(0);
	fd = uffd_open(UFFD_FEATURE_MOVE);
	uffd_register(fd, p, len, UFFDIO_REGISTER_MODE_MISSING);
	return p;
}

static void private_memory(void)
{
	char *to = target(LEN, PROT_RW_MTE), *from = mte_map(LEN);
	uint64_t frame;

	pattern_set(from, LEN, 1);
	frame = pfn_of(from);
	uffd_move(fd, to, from, LEN);
	CHECK_EQ(pagemap(to) & PM_PFN_MASK, frame, "frame");
	CHECK(!page_present(from), "the source is still mapped");
	pattern_check(to, LEN, 1, "moved");
	stale_fill(8 * STALE_SMALL, false);
	memset(from, 1, LEN);
	need_stale(from, LEN, "new pages at the old address");
	tags_zero_check(from, LEN, "old address");
	pattern_set(to, LEN, 2);
	pattern_check(to, LEN, 2, "moved, tagged anew");
	tags_zero_check(from, LEN, "old address, after that");
}

static void in_another_order(void)
{
	char *to = target(LEN, PROT_RW_MTE), *from = mte_map(LEN);
	size_t i;

	pattern_set(from, LEN, 3);
	for (i = 0; i < PAGES; i++)
		uffd_move(fd, to + (PAGES - 1 - i) * PAGE, from + i * PAGE, PAGE);
	for (i = 0; i < PAGES; i++)
		pattern_check_from(to + (PAGES - 1 - i) * PAGE, PAGE, 3, i * GRANULES_PER_PAGE,
				   "moved");
}

/*
 * A move between memory with and without PROT_MTE is refused (validate_move_areas()), and
 * both sides stay as they were.
 */
static void not_across_prot_mte(void)
{
	char *to = target(LEN, PROT_RW), *from = mte_map(LEN);
	struct uffdio_move move = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = LEN };

	pattern_set(from, LEN, 4);
	CHECK(ioctl(fd, UFFDIO_MOVE, &move) == -1 && errno == EINVAL,
	      "UFFDIO_MOVE to memory without PROT_MTE: expected EINVAL, saw %s", strerror(errno));
	CHECK(!page_present(to), "a page was moved");
	pattern_check(from, LEN, 4, "source");
	MUST(mprotect(to, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	uffd_move(fd, to, from, LEN);
	pattern_check(to, LEN, 4, "moved when both have PROT_MTE");
}

/* Untagged pages in stale frames are moved, and become PROT_MTE afterwards. */
static void untagged_page(void)
{
	char *to = target(LEN, PROT_RW), *from;

	stale_fill(8 * STALE_SMALL, false);
	from = untagged_map(LEN);
	memset(from, 0x66, LEN);
	need_stale(from, LEN, "source of the move");
	uffd_move(fd, to, from, LEN);
	check_made_tagged(to, LEN, 0x66, "moved, then PROT_MTE");
	pattern_set(to, LEN, 5);
	pattern_check(to, LEN, 5, "tagged");
}

/* A target, and tagged pages that are swapped out. */
static char *swapped(char **to, uint64_t seed)
{
	char *from;

	swap_begin(swap_disk);
	*to = target(LEN, PROT_RW_MTE);
	from = tagged_map(LEN, seed);
	page_out(from, LEN);
	return from;
}

static void swapped_out(void)
{
	char *to, *from = swapped(&to, 6);

	uffd_move(fd, to, from, LEN);
	NEED(page_swapped(to), "the page was read in for the move");
	pattern_check(to, LEN, 6, "moved while on swap");
}

/* The pages were swapped in and are still in the swap cache. */
static void swap_cache(void)
{
	char *to, *from = swapped(&to, 7);

	touch_write(from, LEN);
	uffd_move(fd, to, from, LEN);
	pattern_check(to, LEN, 7, "moved after it was read in");
	page_out(to, LEN);
	pattern_check(to, LEN, 7, "swapped out and in at the new address");
}

static void zero_page(void)
{
	char *to = target(LEN, PROT_RW_MTE), *from = mte_map(LEN);
	size_t i;

	touch_read(from, LEN);
	NEED(page_flag(from, KPF_ZERO_PAGE), "no zero page");
	uffd_move(fd, to, from, LEN);
	stale_fill(8 * STALE_SMALL, false);
	for (i = 0; i < PAGES; i++)
		page_zero_check(to + i * PAGE, "zero page");
	for (i = 0; i < PAGES; i++)
		stg(to + i * PAGE, 0);
	need_stale(to, LEN, "zero page, written");
	tags_zero_check(to, LEN, "zero page, written");
}

static void huge_page(void)
{
	char *to, *from;

	from = thp_alloc(1, PROT_RW_MTE);
	pattern_set(from, HUGE, 8);
	to = target(HUGE, PROT_RW_MTE);
	uffd_move(fd, to, from, HUGE);
	need_huge(to, HUGE, 1);
	pattern_check(to, HUGE, 8, "huge page moved as a whole");
	/* A move of a part splits the huge page. */
	from = to;
	to = target(HUGE, PROT_RW_MTE);
	uffd_move(fd, to + 5 * PAGE, from + 100 * PAGE, 8 * PAGE);
	pattern_check_from(to + 5 * PAGE, 8 * PAGE, 8, 100 * GRANULES_PER_PAGE, "part that moved");
	pattern_check(from, 100 * PAGE, 8, "part before");
	pattern_check_from(from + 108 * PAGE, HUGE - 108 * PAGE, 8, 108 * GRANULES_PER_PAGE,
			   "part after");
}

PROBE(CASE_SECONDS(private_memory, 20), CASE_SECONDS(in_another_order, 20),
      CASE_SECONDS(not_across_prot_mte, 20), CASE_SECONDS(untagged_page, 20),
      CASE_SECONDS(swapped_out, 20), CASE_SECONDS(swap_cache, 20), CASE_SECONDS(zero_page, 20),
      CASE_SECONDS(huge_page, 20));
