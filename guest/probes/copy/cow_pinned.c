/* SPDX-License-Identifier: MIT */
/*
 * probe: cow_pinned
 * needs: CONFIG_IO_URING CONFIG_PROC_PAGE_MONITOR CONFIG_TRANSPARENT_HUGEPAGE
 * timeout: 30
 *
 * Pages that are pinned for I/O stay the parent's at fork: the child gets copies of them,
 * with their tags, at once and not at the first write (copy_present_page() in mm/memory.c;
 * for a huge page copy_huge_pmd(), which splits it first). The pin is a buffer registered
 * with io_uring.
 */

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "stale.h"
#include "swap.h"

#define LEN (32 * PAGE)

static void pin_buffer(void *p, size_t len)
{
	struct io_uring_params params = { 0 };
	struct iovec buffer = { p, len };
	int ring = syscall(__NR_io_uring_setup, 1, &params);

	MUST(ring >= 0, "io_uring_setup");
	MUST(syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1) == 0,
	     "IORING_REGISTER_BUFFERS");
}

/* Forks with [p, p + len) pinned: the child must have its own pages before it writes. */
static void fork_pinned(char *p, size_t len)
{
	uint64_t first = pfn_of(p), last = pfn_of(p + len - PAGE);
	pid_t child = child_fork();

	if (child == 0) {
		MUST(page_present(p) && page_present(p + len - PAGE), "fork mapped no copies");
		MUST(pfn_of(p) != first && pfn_of(p + len - PAGE) != last,
		     "fork did not copy the pinned pages");
		need_stale(p, len, "copies at fork");
		pattern_check(p, len, 1, "child's copy of pinned pages");
		pattern_set(p, len, 2);
		pattern_check(p, len, 2, "child's own pattern");
		_exit(0);
	}
	wait_child(child);
	MUST(pfn_of(p) == first && pfn_of(p + len - PAGE) == last, "the pinned pages moved");
	pattern_check(p, len, 1, "parent's pinned pages");
	touch_write(p, len);
	pattern_check(p, len, 1, "parent's pinned pages, written");
}

static void small_pages(void)
{
	char *p;

	pin_cpu(0);
	p = tagged_map(LEN, 1);
	pin_buffer(p, LEN);
	stale_fill(STALE_SMALL, false);
	fork_pinned(p, LEN);
}

static void check_copies(char *p)
{
	need_stale(p, LEN, "copies at fork");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, LEN, "child's copy of untagged pages");
}

/* Untagged pinned pages, which become PROT_MTE in the child only. */
static void untagged_pages(void)
{
	char *p;

	mte_need();
	pin_cpu(0);
	p = untagged_map(LEN);
	memset(p, 0x3c, LEN);
	pin_buffer(p, LEN);
	stale_fill(STALE_SMALL, false);
	run_child(check_copies, p);
}

static void huge_page(void)
{
	char *p;

	mte_need();
	pin_cpu(0);
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, 1);
	pin_buffer(p, 64 * PAGE);
	stale_fill(2 * STALE_SMALL, false);
	fork_pinned(p, HUGE);
}

PROBE(CASE(small_pages), CASE(untagged_pages), CASE(huge_page));
