/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_poke
 * needs: CONFIG_ARM64_MTE CONFIG_PROC_PAGE_MONITOR
 * timeout: 30
 *
 * PTRACE_POKEMTETAGS sets exactly the requested tags, as LDG and the tag checks of the
 * tracee then show, changes neither other tags nor data, and reports how many tags it set.
 * arch/arm64/kernel/mte.c __access_remote_tags(), mte_ptrace_copy_tags(); lib/mte.S
 * mte_copy_tags_from_user().
 */
#include "fault.h"
#include "ptrace_mte.h"

enum { PAGES = 4, SEED = 21, G = GRANULES_PER_PAGE, ALL = PAGES * G };

/* The tags that all granules of the tracee should have; shared with it. */
static unsigned char *model;

static void map_pattern(void)
{
	tracee->mem = scattered_map(PAGES);
	pattern_set(tracee->mem, PAGES * PAGE, SEED);
}

static void check_model(void)
{
	size_t g, bad = 0;

	for (g = 0; g < ALL; g++) {
		char *at = tracee->mem + g * GRANULE;
		uint64_t *word = with_tag(at, ldg(at));

		if (ldg(at) != model[g] && bad++ < 3)
			CHECK(false, "granule %zu: expected tag %u, saw %u", g, model[g], ldg(at));
		if (word[0] != pattern_data(SEED, g) || word[1] != ~word[0])
			CHECK(bad++ > 3, "granule %zu: data changed", g);
	}
	CHECK_EQ(bad, 0, "wrong granules in the tracee");
}

static pid_t start(void)
{
	pid_t pid;

	mte_need();
	model = map_file(-1, PAGE, PROT_RW, MAP_SHARED | MAP_ANONYMOUS);
	pid = tracee_start();
	tracee_run(pid, map_pattern);
	pattern_tags(model, ALL, SEED, 0);
	return pid;
}

/* Pokes `count` tags from granule g on, each of which differs from the tag that was there. */
static void poke(pid_t pid, size_t g, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		model[g + i] = (model[g + i] + 1 + i % 14) & 15;
	must_poke(pid, tracee->mem + g * GRANULE, model + g, count);
}

/* From long to short, so that the next poke does not hide one tag too many. */
static void every_length(void)
{
	pid_t pid = start();
	size_t n;

	for (n = G + 44; n > 0; n--)
		poke(pid, 2, n);
	tracee_run(pid, check_model);
	poke(pid, 0, ALL);
	tracee_run(pid, check_model);
	check_peek(pid, tracee->mem, model, ALL, "what was poked");
}

static void every_start(void)
{
	pid_t pid = start();
	size_t g;

	for (g = 0; g < 2 * GRANULES_PER_PAGE; g += 3)
		poke(pid, g, 2);
	tracee_run(pid, check_model);
	for (g = 2 * GRANULES_PER_PAGE; g > 0; g--)
		poke(pid, g, 1);
	tracee_run(pid, check_model);
}

static void across_pages(void)
{
	static const size_t before[] = { 1, 2, 16, G - 1 };
	static const size_t after[] = { 1, 16, G - 1, G, G + 1, 2 * G + 88 };
	pid_t pid = start();
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(before); i++)
		for (j = 0; j < ARRAY_SIZE(after); j++) {
			poke(pid, GRANULES_PER_PAGE - before[i], before[i] + after[j]);
			tracee_run(pid, check_model);
		}
}

static void address_inside_a_granule(void)
{
	unsigned char tags[2];
	pid_t pid = start();
	size_t off;

	for (off = 1; off < GRANULE; off++) {
		tags[0] = model[G - 1] = off;
		tags[1] = model[G] = off ^ 15;
		must_poke(pid, tracee->mem + (G - 1) * GRANULE + off, tags, 2);
		tracee_run(pid, check_model);
	}
}

/* The buffer has one 4-bit tag per byte: the high half of the byte is ignored. */
static void high_nibble_is_ignored(void)
{
	const size_t first = G - 156; /* the values lie on both sides of a page's end */
	unsigned char tags[256];
	pid_t pid = start();
	int i;

	for (i = 0; i < 256; i++) {
		tags[i] = i;
		model[first + i] = i & 15;
	}
	must_poke(pid, tracee->mem + first * GRANULE, tags, 256);
	tracee_run(pid, check_model);
	check_peek(pid, tracee->mem, model, ALL, "after pokes with a high nibble");
}

static void stops_at_the_end(void)
{
	unsigned char tags[2 * G + 88];
	pid_t pid = start();
	size_t g, n, i;

	for (g = ALL - G - 34; g < ALL; g += 17) {
		memset(tags, g % 15, sizeof(tags));
		n = sizeof(tags);
		CHECK_EQ(poke_tags(pid, tracee->mem + g * GRANULE, tags, &n), 0,
			 "poke over the end");
		CHECK_EQ(n, ALL - g, "tags transferred from granule %zu of %d", g, ALL);
		for (i = g; i < ALL; i++)
			model[i] = g % 15;
	}
	tracee_run(pid, check_model);
}

static void stops_at_the_buffers_end(void)
{
	char *room = untagged_map(2 * PAGE);
	static const size_t left[] = { 1, 100, G - 1, G, G + 1, 2 * G + 88 };
	pid_t pid = start();
	unsigned int i;

	MUST(munmap(room + PAGE, PAGE) == 0, "munmap");
	for (i = 0; i < ARRAY_SIZE(left); i++) {
		size_t n = 2 * G + 188;

		memset(room, i + 1, PAGE);
		memset(model + 3, i + 1, left[i]);
		CHECK_EQ(poke_tags(pid, tracee->mem + 3 * GRANULE, room + PAGE - left[i], &n), 0,
			 "poke from a short buffer");
		CHECK_EQ(n, left[i], "tags transferred from a buffer of %zu", left[i]);
		tracee_run(pid, check_model);
	}
}

/* Tracee: accesses are checked against the poked tags. */
static void check_accesses(void)
{
	int before;

	catch_signal(SIGSEGV, 0);
	mte_mode(TCF_SYNC);
	before = tag_faults.sync;
	load_byte(with_tag(tracee->mem, 12));
	CHECK_EQ(tag_faults.sync - before, 0, "faults with the tag that was poked");
	load_byte(with_tag(tracee->mem, 13));
	CHECK_EQ(tag_faults.sync - before, 1, "faults with another tag");
	mte_mode(TCF_NONE);
}

static void tracee_checks_go_by_it(void)
{
	unsigned char tag = 12;
	pid_t pid = start();

	must_poke(pid, tracee->mem, &tag, 1);
	tracee_run(pid, check_accesses);
}

PROBE(CASE(every_length), CASE(every_start), CASE(across_pages), CASE(address_inside_a_granule),
      CASE(high_nibble_is_ignored), CASE(stops_at_the_end), CASE(stops_at_the_buffers_end),
      CASE(tracee_checks_go_by_it));
