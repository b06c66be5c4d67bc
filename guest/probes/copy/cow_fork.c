/* SPDX-License-Identifier: MIT */
/*
 * probe: cow_fork
 * needs: CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 * smoke: yes
 *
 * Tags and data survive fork and copy-on-write, in the copy and in the original, whichever
 * side writes and however little it writes: copy_present_ptes() and wp_page_copy()
 * (mm/memory.c), copy_highpage() (arch/arm64/mm/copypage.c), mte_copy_page_tags(). The
 * copies are made in stale frames.
 */

#include <sys/syscall.h>
#include <sys/uio.h>

#include "fault.h"
#include "stale.h"
#include "swap.h"

#define LEN (32 * PAGE)

static char *tagged(void)
{
	pin_cpu(0);
	return tagged_map(LEN, 1);
}

/* Ends the case as failed unless every page of p is now in another frame than in `before`. */
static void must_be_copied(char *p, const uint64_t *before)
{
	size_t i;

	for (i = 0; i < LEN / PAGE; i++)
		MUST(pfn_of(p + i * PAGE) != before[i], "page %zu was not copied", i);
}

static void frames(char *p, uint64_t *pfns)
{
	size_t i;

	for (i = 0; i < LEN / PAGE; i++)
		pfns[i] = pfn_of(p + i * PAGE);
}

/* Ways to break the sharing of the pages. Each leaves tags and data as they were. */
static void by_store(char *p)
{
	touch_write(p, LEN);
}

static void by_tag_store(char *p)
{
	size_t i, g;

	for (i = 0; i < LEN / PAGE; i++) {
		g = i * GRANULES_PER_PAGE + i;
		stg(p + g * GRANULE, pattern_tag(1, g));
	}
}

static void by_read_syscall(char *p)
{
	int zero = open("/dev/zero", O_RDONLY);
	size_t i;

	for (i = 0; i < LEN; i += PAGE) {
		uint64_t keep = *(volatile uint64_t *)(p + i + PAGE - 16);

		MUST(read(zero, p + i + PAGE - 16, 8) == 8, "read");
		*(volatile uint64_t *)(p + i + PAGE - 16) = keep;
	}
}

static void by_populate(char *p)
{
	MUST(madvise(p, LEN, MADV_POPULATE_WRITE) == 0, "MADV_POPULATE_WRITE");
}

/* Pinning for reading unshares a page without a write: gup_must_unshare(), mm/internal.h. */
static void by_read_pin(char *p)
{
	static char buffer[LEN];
	struct iovec to = { buffer, LEN }, from = { p, LEN };

	MUST(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)LEN, "process_vm_readv");
	MUST(!memcmp(buffer, p, LEN), "process_vm_readv read other data");
}

/* /proc/PID/mem writes with FOLL_FORCE. */
static void by_proc_mem(char *p)
{
	int fd = open("/proc/self/mem", O_RDWR);
	size_t i;
	char byte;

	for (i = 0; i < LEN; i += PAGE) {
		byte = *(volatile char *)(p + i);
		MUST(pwrite(fd, &byte, 1, (off_t)(uintptr_t)(p + i)) == 1, "pwrite /proc/self/mem");
	}
}

static const struct {
	const char *name;
	void (*run)(char *p);
} ways[] = {
	{ "a store", by_store },
	{ "a tag store", by_tag_store },
	{ "read()", by_read_syscall },
	{ "MADV_POPULATE_WRITE", by_populate },
	{ "a pin for reading", by_read_pin },
	{ "/proc/self/mem", by_proc_mem },
};
static size_t way;

static void break_sharing(char *p, const char *who)
{
	uint64_t before[LEN / PAGE];
	char when[80];

	snprintf(when, sizeof(when), "%s, shared by fork", who);
	pattern_check(p, LEN, 1, when);
	frames(p, before);
	stale_fill(STALE_SMALL, false);
	ways[way].run(p);
	must_be_copied(p, before);
	need_stale(p, LEN, ways[way].name);
	snprintf(when, sizeof(when), "%s, copied by %s", who, ways[way].name);
	pattern_check(p, LEN, 1, when);
}

static void child_breaks(char *p)
{
	break_sharing(p, "child");
	pattern_set(p, LEN, 2);
	pattern_check(p, LEN, 2, "child, its own pattern");
}

static void child_writes(void)
{
	char *p = tagged();

	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		run_child(child_breaks, p);
		pattern_check(p, LEN, 1, "parent, after the child wrote");
	}
}

static void check_as_last_owner(char *p)
{
	pattern_check(p, LEN, 1, "child, after the parent wrote");
	touch_write(p, LEN); /* the child is the only owner: no copy is made */
	pattern_check(p, LEN, 1, "child, as the only owner");
}

/* The parent writes and gets the copy; the child reads the original afterwards. */
static void parent_writes(void)
{
	char *p = tagged();
	struct held_child child = hold_child(check_as_last_owner, p);

	way = 0;
	break_sharing(p, "parent");
	pattern_set(p, LEN, 3);
	release_child(&child);
	pattern_check(p, LEN, 3, "parent, its own pattern");
}

/* A tag store in the child changes that granule, no other one, and none of the parent. */
static void retag_one(char *p)
{
	size_t i;

	for (i = 0; i < LEN; i += PAGE)
		stg(p + i + 3 * GRANULE, 0);
	for (i = 0; i < LEN; i += PAGE) {
		size_t g = i / GRANULE + 3;

		CHECK_EQ(ldg(p + i + 3 * GRANULE), 0, "the child's own tag");
		stg(p + i + 3 * GRANULE, pattern_tag(1, g));
	}
	pattern_check(p, LEN, 1, "child, after its tag was restored");
}

static void child_retags(void)
{
	char *p = tagged();

	run_child(retag_one, p);
	pattern_check(p, LEN, 1, "parent, after the child's tag stores");
}

static int generation;

static void descend(char *p)
{
	char when[40];

	snprintf(when, sizeof(when), "generation %d", ++generation);
	pattern_check(p, LEN, 1, when);
	touch_write(p + generation * PAGE, PAGE);
	if (generation < 4)
		run_child(descend, p);
	pattern_check(p, LEN, 1, when);
	pattern_set(p, LEN, 10 + generation);
	pattern_check(p, LEN, 10 + generation, when);
}

static void grandchildren(void)
{
	char *p = tagged();

	run_child(descend, p);
	pattern_check(p, LEN, 1, "parent of four generations");
}

/* The parent forks, writes and forks again: copies of copies. */
static void rounds(void)
{
	char *p = tagged();
	uint64_t seed;

	for (seed = 1; seed < 9; seed++) {
		pid_t child = child_fork();

		if (child == 0) {
			pattern_check(p, LEN, seed, "child of a round");
			touch_write(p, LEN);
			pattern_check(p, LEN, seed, "child of a round, copied");
			_exit(0);
		}
		touch_write(p, LEN);
		pattern_check(p, LEN, seed, "parent of a round, copied");
		pattern_set(p, LEN, seed + 1);
		wait_child(child);
	}
	pattern_check(p, LEN, 9, "at the end");
}

/* Makes pages PROT_MTE that never had tags: all tags are 0 and the data is kept. */
static void become_tagged(char *p)
{
	check_made_tagged(p, LEN, 0x3c, "untagged pages shared by fork, then PROT_MTE");
}

static void copy_and_become_tagged(char *p)
{
	stale_fill(STALE_SMALL, false);
	touch_write(p, LEN);
	need_stale(p, LEN, "untagged pages copied");
	become_tagged(p);
}

static void untagged_pages(void)
{
	char *p;

	mte_need();
	pin_cpu(0);
	stale_fill(STALE_SMALL, false);
	p = untagged_map(LEN);
	memset(p, 0x3c, LEN);
	need_stale(p, LEN, "untagged pages");
	run_child(copy_and_become_tagged, p);
	become_tagged(p);
}

static void copy_read_only_pages(char *p)
{
	MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(PROT_RW)");
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, "child");
}

static void read_only_while_forking(void)
{
	static const int protections[] = { PROT_READ, PROT_NONE };
	char *p = tagged();
	size_t i;

	for (i = 0; i < 2; i++) {
		MUST(mprotect(p, LEN, protections[i]) == 0, "mprotect(%#x)", protections[i]);
		run_child(copy_read_only_pages, p);
	}
	MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(PROT_RW)");
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, "parent");
}

/* A child of vfork() shares the parent's memory: the parent sees the tags that it sets. */
static void vfork_shares(void)
{
	char *p = tagged();
	volatile pid_t child = vfork();

	if (child == 0) {
		pattern_set(p, LEN, 5);
		_exit(0);
	}
	MUST(child > 0, "vfork");
	wait_child(child);
	pattern_check(p, LEN, 5, "parent, after its vfork child tagged");
}

static void check_wiped(char *p)
{
	size_t i;

	touch_write(p, LEN);
	for (i = 0; i < LEN; i += PAGE)
		page_zero_check(p + i, "child, MADV_WIPEONFORK");
}

static void not_to_the_child(void)
{
	char *p = tagged();

	MUST(madvise(p, LEN, MADV_WIPEONFORK) == 0, "MADV_WIPEONFORK");
	run_child(check_wiped, p);
	pattern_check(p, LEN, 1, "parent, MADV_WIPEONFORK");
}

PROBE(CASE(child_writes), CASE(parent_writes), CASE(child_retags), CASE(grandchildren),
      CASE(rounds), CASE(untagged_pages), CASE(read_only_while_forking), CASE(vfork_shares),
      CASE(not_to_the_child));
