/* SPDX-License-Identifier: MIT */
/*
 * probe: cow_file
 * needs: CONFIG_MEMFD_CREATE CONFIG_PROC_PAGE_MONITOR
 * timeout: 30
 *
 * Private mappings of a memory file whose pages carry tags: the copy has them
 * too, whether the first access is a write (do_cow_fault(), mm/memory.c) or a
 * read (wp_page_copy()), and the file keeps its own.
 */
#include "stale.h"
#include "swap.h"

#define LEN  (32 * PAGE)
#define FILL (2UL << 20)

static int fd;

static char *map_file(int flags, int prot)
{
	char *p = mmap(NULL, LEN, prot, flags, fd, 0);

	MUST(p != MAP_FAILED, "mmap(memfd, flags %#x)", flags);
	return p;
}

/* A memory file with pattern 1, through a shared mapping, which is returned. */
static char *tagged_file(void)
{
	char *shared;

	mte_need();
	pin_cpu(0);
	fd = memfd_create("probe", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd_create");
	shared = map_file(MAP_SHARED, PROT_RW_MTE);
	pattern_set(shared, LEN, 1);
	stale_fill(FILL, false);
	return shared;
}

/* `p` holds copies of the file's pages; then each side changes alone. */
static void check_copy(char *p, char *shared, const char *when)
{
	MUST(pagemap_count(p, LEN, PM_PRESENT | PM_FILE) == 0, "%s: pages of the file are mapped",
	     when);
	must_be_stale(p, LEN, when);
	pattern_check(p, LEN, 1, when);
	pattern_set(p, LEN, 2);
	pattern_check(shared, LEN, 1, "the file, after its copy changed");
	pattern_set(shared, LEN, 3);
	pattern_check(p, LEN, 2, "the copy, after the file changed");
}

static void write_first(void)
{
	char *shared = tagged_file(), *p = map_file(MAP_PRIVATE, PROT_RW_MTE);

	touch_write(p, LEN);
	check_copy(p, shared, "write first");
}

static void read_then_write(void)
{
	char *shared = tagged_file(), *p = map_file(MAP_PRIVATE, PROT_RW_MTE);

	pattern_check(p, LEN, 1, "private, read only so far");
	touch_write(p, LEN);
	check_copy(p, shared, "read, then written");
}

static void tag_store_first(void)
{
	char *shared = tagged_file(), *p = map_file(MAP_PRIVATE, PROT_RW_MTE);
	size_t i;

	for (i = 0; i < LEN / PAGE; i++)
		stg(p + i * PAGE, pattern_tag(1, i * GRANULES_PER_PAGE));
	check_copy(p, shared, "tag store first");
}

/* The copy is made by an untagged mapping, which is made PROT_MTE only then. */
static void mprotect_after_copy(void)
{
	char *shared = tagged_file(), *p = map_file(MAP_PRIVATE, PROT_RW);

	touch_write(p, LEN);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	check_copy(p, shared, "copied untagged, then PROT_MTE");
}

/* What is not mapped anywhere is as good a source. */
static void unmapped_file(void)
{
	char *shared = tagged_file(), *p;

	MUST(munmap(shared, LEN) == 0, "munmap");
	p = map_file(MAP_PRIVATE, PROT_RW_MTE);
	touch_write(p, LEN);
	shared = map_file(MAP_SHARED, PROT_RW_MTE);
	check_copy(p, shared, "copied while not mapped");
}

static void forked(void)
{
	char *shared = tagged_file(), *p = map_file(MAP_PRIVATE, PROT_RW_MTE);
	pid_t child;

	touch_write(p, LEN / 2); /* half copies, half pages of the file */
	touch_read(p + LEN / 2, LEN / 2);
	child = child_fork();
	if (child == 0) {
		touch_write(p, LEN);
		pattern_check(p, LEN, 1, "child's copy");
		pattern_set(p, LEN, 4);
		_exit(0);
	}
	wait_child(child);
	touch_write(p, LEN);
	check_copy(p, shared, "parent's copy");
}

PROBE(CASE(write_first), CASE(read_then_write), CASE(tag_store_first), CASE(mprotect_after_copy),
      CASE(unmapped_file), CASE(forked));
