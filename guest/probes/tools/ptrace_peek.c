/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_peek
 * needs: CONFIG_ARM64_MTE CONFIG_PROC_PAGE_MONITOR
 * timeout: 30
 * smoke: yes
 *
 * PTRACE_PEEKMTETAGS gives exactly the tags that LDG of the tracee gives, one per byte,
 * for every length and start, across pages, up to the end of the memory that can be read,
 * and reports how many tags they are. arch/arm64/kernel/mte.c __access_remote_tags(),
 * mte_ptrace_copy_tags(); lib/mte.S mte_copy_tags_to_user().
 */
#include "ptrace_mte.h"

enum { PAGES = 4, SEED = 11, G = GRANULES_PER_PAGE, ALL = PAGES * G };

static unsigned char want[ALL];

/* Tracee: maps PAGES pages of a pattern at `mem`; the page behind them is not mapped. */
static void map_pattern(void)
{
	tracee->mem = scattered_map(PAGES);
	pattern_set(tracee->mem, PAGES * PAGE, SEED);
}

static void check_own_pattern(void)
{
	pattern_check(tracee->mem, PAGES * PAGE, SEED, "in the tracee, afterwards");
}

static pid_t start(void)
{
	pid_t pid;

	mte_need();
	pid = tracee_start();
	tracee_run(pid, map_pattern);
	pattern_tags(want, ALL, SEED, 0);
	return pid;
}

static void every_length(void)
{
	pid_t pid = start();
	size_t n;

	for (n = 1; n <= G + 44; n++)
		check_peek(pid, tracee->mem, want, n, "from a page's start");
	for (n = 301; n <= ALL; n += 37)
		check_peek(pid, tracee->mem, want, n, "from a page's start");
	check_peek(pid, tracee->mem, want, ALL, "all");
	tracee_run(pid, check_own_pattern);
}

static void every_start(void)
{
	pid_t pid = start();
	size_t g;

	for (g = 0; g < 2 * GRANULES_PER_PAGE; g++)
		check_peek(pid, tracee->mem + g * GRANULE, want + g, 3, "every granule");
}

static void across_pages(void)
{
	static const size_t before[] = { 1, 2, 15, 16, 17, G - 1 };
	static const size_t after[] = { 1, 2, 16, G - 1, G, G + 1, 2 * G, 2 * G + 88 };
	pid_t pid = start();
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(before); i++)
		for (j = 0; j < ARRAY_SIZE(after); j++) {
			size_t g = GRANULES_PER_PAGE - before[i];

			check_peek(pid, tracee->mem + g * GRANULE, want + g, before[i] + after[j],
				   "across a page's end");
		}
}

static void address_inside_a_granule(void)
{
	pid_t pid = start();
	size_t off;

	for (off = 1; off < GRANULE; off++) {
		check_peek(pid, tracee->mem + 5 * GRANULE + off, want + 5, 4, "inside a granule");
		check_peek(pid, tracee->mem + (G - 1) * GRANULE + off, want + G - 1, 4,
			   "inside a page's last granule");
	}
}

/* A peek over the end of the mapping stops there, and reports the shorter count. */
static void stops_at_the_end(void)
{
	unsigned char buf[ALL + G + 44];
	pid_t pid = start();
	size_t g, n;

	for (g = ALL - G - 44; g < ALL; g += 7) {
		memset(buf, 0xee, sizeof(buf));
		n = sizeof(buf);
		CHECK_EQ(peek_tags(pid, tracee->mem + g * GRANULE, buf, &n), 0,
			 "peek over the end");
		CHECK_EQ(n, ALL - g, "tags transferred from granule %zu of %d", g, ALL);
		CHECK(!memcmp(buf, want + g, ALL - g), "tags before the end, from granule %zu", g);
		CHECK_EQ(buf[ALL - g], 0xee, "byte after the tags transferred");
	}
}

/* Tracee: page 2 becomes memory without PROT_MTE. */
static void replace_page_2(void)
{
	char *p = mmap(tracee->mem + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	MUST(p == tracee->mem + 2 * PAGE, "mmap");
	memset(p, 1, PAGE);
}

static void stops_at_untagged_memory(void)
{
	unsigned char buf[ALL];
	pid_t pid = start();
	size_t n = ALL;

	tracee_run(pid, replace_page_2);
	memset(buf, 0xee, sizeof(buf));
	CHECK_EQ(peek_tags(pid, tracee->mem + PAGE / 2, buf, &n), 0, "peek into untagged memory");
	CHECK_EQ(n, G + G / 2, "tags transferred from 1.5 pages");
	CHECK(!memcmp(buf, want + G / 2, G + G / 2), "tags before the untagged page");
	CHECK_EQ(buf[G + G / 2], 0xee, "byte after the tags transferred");
}

/* A peek stops at the end of the tracer's buffer, at page boundaries or not. */
static void stops_at_the_buffers_end(void)
{
	char *room = untagged_map(3 * PAGE);
	static const size_t left[] = { 1, 16, 100, G - 1, G, G + 1, 2 * G, 2 * G + 88 };
	pid_t pid = start();
	unsigned int i;

	MUST(munmap(room + PAGE, PAGE) == 0, "munmap");
	for (i = 0; i < ARRAY_SIZE(left); i++) {
		unsigned char *buf = (unsigned char *)room + PAGE - left[i];
		size_t n = 2 * G + 188;

		memset(room, 0xee, PAGE);
		CHECK_EQ(peek_tags(pid, tracee->mem, buf, &n), 0, "peek to a short buffer");
		CHECK_EQ(n, left[i], "tags transferred to a buffer of %zu", left[i]);
		CHECK(!memcmp(buf, want, left[i]), "tags in a buffer of %zu", left[i]);
		CHECK_EQ(buf[-1], 0xee, "byte before the buffer");
	}
}

/* Each of the 16 tags has a byte of its own. */
static void tag_each_value(void)
{
	char *p = mte_map(PAGE);
	size_t i;

	for (i = 0; i < GRANULES_PER_PAGE; i++)
		stg(p + i * GRANULE, i & 15);
	tracee->mem = p;
}

static void every_tag_value(void)
{
	unsigned char tags[GRANULES_PER_PAGE];
	pid_t pid = start();
	size_t i;

	tracee_run(pid, tag_each_value);
	for (i = 0; i < GRANULES_PER_PAGE; i++)
		tags[i] = i & 15;
	check_peek(pid, tracee->mem, tags, GRANULES_PER_PAGE, "all tag values");
}

/* The checking mode of the tracee has no effect. */
static void tracee_checks(void)
{
	map_pattern();
	mte_mode(TCF_SYNC);
}

static void tracee_in_sync_mode(void)
{
	pid_t pid;

	mte_need();
	mte_mode(TCF_SYNC);
	pid = tracee_start();
	pattern_tags(want, ALL, SEED, 0);
	tracee_run(pid, tracee_checks);
	check_peek(pid, tracee->mem, want, ALL, "tracer and tracee in sync mode");
}

PROBE(CASE(every_length), CASE(every_start), CASE(across_pages), CASE(address_inside_a_granule),
      CASE(stops_at_the_end), CASE(stops_at_untagged_memory), CASE(stops_at_the_buffers_end),
      CASE(every_tag_value), CASE(tracee_in_sync_mode));
