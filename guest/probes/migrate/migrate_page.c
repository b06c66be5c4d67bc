/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_page
 * needs: CONFIG_MIGRATION CONFIG_MEMORY_FAILURE CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_MEMCG
 * disk: swap_cache
 * destructive: yes
 * timeout: 60
 * smoke: yes
 *
 * A page that migrates to another frame keeps its tags, for every kind of page and every
 * kind of mapping, and takes new tags there. An untagged page that migrates to a stale
 * frame does not show stale tags when it becomes PROT_MTE. Page frame numbers prove each
 * migration. Exercises folio_mc_copy(), copy_highpage(), mte_copy_page_tags() and
 * remove_migration_pte().
 */
#include "fault.h"
#include "stale.h"
#include "swap.h"

#define PAGES 8
#define LEN   (PAGES * PAGE)

static void start(void)
{
	mte_need();
	pin_cpu(0);
	swap_none();
}

static void move_pages_of(char *p)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		move_page(p + i * PAGE);
}

/*
 * The same, to stale frames. Each page needs its own: soft-offlining drains the lists of
 * the CPUs (mm/memory-failure.c page_handle_poison()), after which the buddy allocator
 * hands out its smallest blocks first, stale or not.
 */
static void move_to_stale_frames(char *p)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		stale_fill(STALE_SMALL, false);
		move_page(p + i * PAGE);
	}
	need_stale(p, LEN, "migrated");
}

static void private_memory(void)
{
	char *p;

	start();
	p = mte_map(LEN);
	pattern_set(p, LEN, 1);
	move_pages_of(p);
	pattern_check(p, LEN, 1, "migrated");
	pattern_set(p, LEN, 2);
	pattern_check(p, LEN, 2, "tagged anew");
	move_pages_of(p);
	pattern_check(p, LEN, 2, "migrated twice");
}

/* New pages whose tags were never set: all tags are 0 after migration to stale frames. */
static void untouched_tags(void)
{
	char *p;

	start();
	p = mte_map(LEN);
	memset(p, 0x42, LEN);
	move_to_stale_frames(p);
	tags_zero_check(p, LEN, "migrated");
	CHECK_EQ(other_bytes(p, 0x42, LEN), 0, "bytes that changed");
}

static void untagged_then_mprotect(void)
{
	char *p;

	start();
	stale_fill(8 * STALE_SMALL, false);
	p = untagged_map(LEN);
	memset(p, 0x42, LEN);
	/* The stale tags of the old frame must not be copied either. */
	need_stale(p, LEN, "before migration");
	move_to_stale_frames(p);
	check_made_tagged(p, LEN, 0x42, "after mprotect(PROT_MTE)");
}

static void write_in_child(char *p)
{
	pattern_check(p, LEN, 3, "child");
	pattern_set(p, LEN, 4);
	pattern_check(p, LEN, 4, "child's copy");
}

/* Parent and child map the page while it migrates; the child then writes to its copy. */
static void copy_on_write(void)
{
	struct held_child child;
	char *p;

	start();
	p = tagged_map(LEN, 3);
	child = hold_child(write_in_child, p);
	move_pages_of(p);
	pattern_check(p, LEN, 3, "parent");
	release_child(&child);
	pattern_check(p, LEN, 3, "parent, after the child wrote");
}

static void move_in_child(char *p)
{
	MUST(mprotect(p, LEN, PROT_READ) == 0, "mprotect(PROT_READ)");
	move_pages_of(p);
	pattern_check(p, LEN, 5, "child");
}

/* The page is PROT_NONE in the parent; the child, which shares it, migrates it. */
static void prot_none(void)
{
	char *p;

	start();
	p = tagged_map(LEN, 5);
	MUST(mprotect(p, LEN, PROT_NONE) == 0, "mprotect(PROT_NONE)");
	run_child(move_in_child, p);
	MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(RW)");
	pattern_check(p, LEN, 5, "migrated while PROT_NONE");
}

/*
 * Shared memory, mapped with PROT_MTE by two processes. A file is also mapped without
 * PROT_MTE, and the pages are migrated through that mapping.
 */
static void shared(int fd)
{
	char *p = map_file(fd, LEN, PROT_RW_MTE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0));
	struct gate mapped = gate_make(), moved = gate_make();
	char *plain = NULL;
	pid_t child;

	pattern_set(p, LEN, 6);
	if (fd >= 0) {
		plain = map_file(fd, LEN, PROT_RW, MAP_SHARED);
		touch_read(plain, LEN);
	}
	child = child_fork();
	if (child == 0) {
		pattern_check(p, LEN, 6, "child before");
		gate_open(&mapped);
		gate_wait(&moved);
		pattern_check(p, LEN, 6, "child after");
		pattern_set(p, LEN, 7);
		_exit(0);
	}
	gate_wait(&mapped);
	move_pages_of(plain ? plain : p);
	pattern_check(p, LEN, 6, "migrated");
	gate_open(&moved);
	wait_child(child);
	pattern_check(p, LEN, 7, "tags that the child set in the new frame");
}

static void shared_anonymous(void)
{
	start();
	shared(-1);
}

static void memfd(void)
{
	start();
	shared(memory_file(LEN));
}

static void mlocked(void)
{
	char *p;

	start();
	p = mte_map(LEN);
	MUST(mlock(p, LEN) == 0, "mlock");
	tags_zero_check(p, LEN, "populated by mlock");
	pattern_set(p, LEN, 8);
	move_pages_of(p);
	pattern_check(p, LEN, 8, "migrated");
}

/* A page that was swapped in from a disk is in the swap cache, and migrates with its entry. */
static void swap_cache(void)
{
	size_t i;
	char *p;

	start();
	memcg_enter();
	swap_disk();
	p = mte_map(LEN);
	pattern_set(p, LEN, 9);
	page_out(p, LEN);
	touch_read(p, LEN);
	for (i = 0; i < PAGES; i++) {
		NEED(page_flag(p + i * PAGE, KPF_SWAPCACHE), "page %zu is not in the swap cache",
		     i);
		move_page(p + i * PAGE);
	}
	pattern_check(p, LEN, 9, "migrated in the swap cache");
	page_out(p, LEN);
	pattern_check(p, LEN, 9, "swapped out again and in");
	pattern_set(p, LEN, 10);
	page_out(p, LEN);
	pattern_check(p, LEN, 10, "tagged anew, swapped out and in");
}

PROBE(CASE_SECONDS(private_memory, 20), CASE_SECONDS(untouched_tags, 20),
      CASE_SECONDS(untagged_then_mprotect, 20), CASE_SECONDS(copy_on_write, 20),
      CASE_SECONDS(prot_none, 20), CASE_SECONDS(shared_anonymous, 20), CASE_SECONDS(memfd, 20),
      CASE_SECONDS(mlocked, 20), CASE_SECONDS(swap_cache, 20));
