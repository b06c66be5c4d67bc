/* SPDX-License-Identifier: MIT */
/*
 * probe: cow_file
 * needs: CONFIG_MEMFD_CREATE CONFIG_PROC_PAGE_MONITOR
 * timeout: 30
 *
 * The copy that a private mapping of a tagged memfd page gets has the page's tags, whether
 * the first access is a write (do_cow_fault(), mm/memory.c) or a read (wp_page_copy()),
 * and the file's page keeps its own.
 */
#include "stale.h"
#include "swap.h"

#define LEN (32 * PAGE)
static int fd;

static char *private_mapping(int prot)
{
	return map_file(fd, LEN, prot, MAP_PRIVATE);
}

/* Makes a memfd filled with pattern 1; returns a shared mapping of it. */
static char *tagged_file(void)
{
	char *shared;

	mte_need();
	pin_cpu(0);
	fd = memory_file(LEN);
	shared = map_file(fd, LEN, PROT_RW_MTE, MAP_SHARED);
	pattern_set(shared, LEN, 1);
	stale_fill(STALE_SMALL, false);
	return shared;
}

/* Checks that `p` has copies of the file's pages, and that neither side sees the other's writes. */
static void check_copy(char *p, char *shared, const char *when)
{
	MUST(pagemap_count(p, LEN, PM_PRESENT | PM_FILE) == 0, "%s: pages of the file are mapped",
	     when);
	need_stale(p, LEN, when);
	pattern_check(p, LEN, 1, when);
	pattern_set(p, LEN, 2);
	pattern_check(shared, LEN, 1, "the file, after its copy changed");
	pattern_set(shared, LEN, 3);
	pattern_check(p, LEN, 2, "the copy, after the file changed");
}

static void write_first(void)
{
	char *shared = tagged_file(), *p = private_mapping(PROT_RW_MTE);

	touch_write(p, LEN);
	check_copy(p, shared, "write first");
}

static void read_then_write(void)
{
	char *shared = tagged_file(), *p = private_mapping(PROT_RW_MTE);

	pattern_check(p, LEN, 1, "private, read only so far");
	touch_write(p, LEN);
	check_copy(p, shared, "read, then written");
}

static void tag_store_first(void)
{
	char *shared = tagged_file(), *p = private_mapping(PROT_RW_MTE);
	size_t i;

	for (i = 0; i < LEN / PAGE; i++)
		stg(p + i * PAGE, pattern_tag(1, i * GRANULES_PER_PAGE));
	check_copy(p, shared, "tag store first");
}

/* The write is through a mapping without PROT_MTE, which becomes PROT_MTE afterwards. */
static void mprotect_after_copy(void)
{
	char *shared = tagged_file(), *p = private_mapping(PROT_RW);

	touch_write(p, LEN);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	check_copy(p, shared, "copied untagged, then PROT_MTE");
}

/* The page that is copied is not mapped anywhere. */
static void unmapped_file(void)
{
	char *shared = tagged_file(), *p;

	MUST(munmap(shared, LEN) == 0, "munmap");
	p = private_mapping(PROT_RW_MTE);
	touch_write(p, LEN);
	shared = map_file(fd, LEN, PROT_RW_MTE, MAP_SHARED);
	check_copy(p, shared, "copied while not mapped");
}

static void copy_in_child(char *p)
{
	touch_write(p, LEN);
	pattern_check(p, LEN, 1, "child's copy");
	pattern_set(p, LEN, 4);
}

static void forked(void)
{
	char *shared = tagged_file(), *p = private_mapping(PROT_RW_MTE);

	touch_write(p, LEN / 2); /* half copies, half pages of the file */
	touch_read(p + LEN / 2, LEN / 2);
	run_child(copy_in_child, p);
	touch_write(p, LEN);
	check_copy(p, shared, "parent's copy");
}

PROBE(CASE(write_first), CASE(read_then_write), CASE(tag_store_first), CASE(mprotect_after_copy),
      CASE(unmapped_file), CASE(forked));
