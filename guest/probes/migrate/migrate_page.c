/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_page
 * needs: CONFIG_MIGRATION CONFIG_MEMORY_FAILURE CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_MEMCG
 * timeout: 60
 * smoke: yes
 *
 * A page that migrates to another frame takes its tags along, for every kind of
 * page and every mapping of it, and goes on taking tags there. An untagged page
 * that lands in a frame with stale tags does not show them when PROT_MTE comes.
 * Each move is proved by the frame number. Exercises folio_mc_copy(),
 * copy_highpage(), mte_copy_page_tags() and remove_migration_pte().
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

static void wait_for(pid_t child)
{

	wait_child(child);
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

/* Fresh, never tagged by hand: all tags 0, in a stale frame. */
static void untouched_tags(void)
{
	char *p;

	start();
	p = mte_map(LEN);
	memset(p, 0x42, LEN);
	stale_fill(8 * HUGE, false);
	move_pages_of(p);
	must_be_stale(p, LEN, "migrated");
	tags_zero_check(p, LEN, "migrated");
	CHECK_EQ(other_bytes(p, 0x42, LEN), 0, "bytes that changed");
}

static void untagged_then_mprotect(void)
{
	char *p;

	start();
	stale_fill(8 * HUGE, false);
	p = mmap(NULL, LEN, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	memset(p, 0x42, LEN);
	must_be_stale(p, LEN,
		      "before migration"); /* tags of the old frame must not come along either */
	stale_fill(8 * HUGE, false);
	move_pages_of(p);
	must_be_stale(p, LEN, "migrated");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, LEN, "after mprotect(PROT_MTE)");
	CHECK_EQ(other_bytes(p, 0x42, LEN), 0, "bytes that changed");
}

/* Both sides of a fork map the page; the child then writes a copy of it. */
static void copy_on_write(void)
{
	int ask[2];
	pid_t child;
	char *p, c;

	start();
	p = mte_map(LEN);
	pattern_set(p, LEN, 3);
	MUST(pipe(ask) == 0, "pipe");
	child = child_fork();
	MUST(child >= 0, "fork");
	if (child == 0) {
		close(ask[1]);
		MUST(read(ask[0], &c, 1) == 0, "read");
		pattern_check(p, LEN, 3, "child");
		pattern_set(p, LEN, 4);
		pattern_check(p, LEN, 4, "child's copy");
		_exit(0);
	}
	move_pages_of(p);
	pattern_check(p, LEN, 3, "parent");
	close(ask[1]);
	wait_for(child);
	pattern_check(p, LEN, 3, "parent, after the child wrote");
}

/* This process may not access the page; the child, which shares it, has it moved. */
static void prot_none(void)
{
	pid_t child;
	char *p;

	start();
	p = mte_map(LEN);
	pattern_set(p, LEN, 5);
	MUST(mprotect(p, LEN, PROT_NONE) == 0, "mprotect(PROT_NONE)");
	child = child_fork();
	MUST(child >= 0, "fork");
	if (child == 0) {
		MUST(mprotect(p, LEN, PROT_READ) == 0, "mprotect(PROT_READ)");
		move_pages_of(p);
		pattern_check(p, LEN, 5, "child");
		_exit(0);
	}
	wait_for(child);
	MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(RW)");
	pattern_check(p, LEN, 5, "migrated while PROT_NONE");
}

/* Shared memory, mapped tagged by two processes and untagged by one of them. */
static void shared(int fd)
{
	int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), ask[2];
	char *p, *plain = NULL, c;
	pid_t child;

	p = mmap(NULL, LEN, PROT_RW_MTE, flags, fd, 0);
	MUST(p != MAP_FAILED, "mmap");
	pattern_set(p, LEN, 6);
	MUST(pipe(ask) == 0, "pipe");
	if (fd >= 0) {
		plain = mmap(NULL, LEN, PROT_RW, MAP_SHARED, fd, 0);
		MUST(plain != MAP_FAILED, "mmap");
		touch_read(plain, LEN);
	}
	child = child_fork();
	MUST(child >= 0, "fork");
	if (child == 0) {
		close(ask[1]);
		pattern_check(p, LEN, 6, "child before");
		MUST(read(ask[0], &c, 1) == 0, "read");
		pattern_check(p, LEN, 6, "child after");
		pattern_set(p, LEN, 7);
		_exit(0);
	}
	/* Moved through the mapping that knows of no tags, if there is one. */
	move_pages_of(plain ? plain : p);
	pattern_check(p, LEN, 6, "migrated");
	close(ask[1]);
	wait_for(child);
	pattern_check(p, LEN, 7, "tags that the child set in the new frame");
}

static void shared_anonymous(void)
{
	start();
	shared(-1);
}

static void memfd(void)
{
	int fd = memfd_create("migrate", 0);

	start();
	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd");
	shared(fd);
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

/* A page read back from a disk is still in the swap cache: it moves with its entry. */
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
		MUST(page_flag(p + i * PAGE, KPF_SWAPCACHE), "page %zu is not in the swap cache",
		     i);
		move_page(p + i * PAGE);
	}
	pattern_check(p, LEN, 9, "migrated in the swap cache");
	page_out(p, LEN);
	pattern_check(p, LEN, 9, "out again and in");
	pattern_set(p, LEN, 10);
	page_out(p, LEN);
	pattern_check(p, LEN, 10, "tagged anew, out and in");
}

PROBE(CASE_SECONDS(private_memory, 20), CASE_SECONDS(untouched_tags, 20),
      CASE_SECONDS(untagged_then_mprotect, 20), CASE_SECONDS(copy_on_write, 20),
      CASE_SECONDS(prot_none, 20), CASE_SECONDS(shared_anonymous, 20), CASE_SECONDS(memfd, 20),
      CASE_SECONDS(mlocked, 20), CASE_SECONDS(swap_cache, 20));
