/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_cow
 * needs: CONFIG_ARM64_MTE
 * timeout: 30
 *
 * PTRACE_POKEMTETAGS is a write: for a private page it breaks the sharing first, so that
 * the tags of no other process change, and for a shared page all processes see the new
 * tags. PEEK changes nothing. That holds for pages shared by fork(), read-only mappings,
 * file pages, the zero page and pages that were never touched. arch/arm64/kernel/mte.c
 * __access_remote_tags() with FOLL_FORCE | FOLL_WRITE; mm/gup.c faultin_page(),
 * can_follow_write_pte(); mm/memory.c do_wp_page().
 */
#include "ptrace_mte.h"

enum { PAGES = 3, LEN = PAGES * PAGE, SEED = 31, POKED = 32, COUNT = LEN / GRANULE };

static unsigned char tags[COUNT], poked[COUNT], zeros[COUNT];

static void start(void)
{
	mte_need();
	pattern_tags(tags, COUNT, SEED, 0);
	pattern_tags(poked, COUNT, POKED, 0);
}

/* Checks for the tags of pattern `seed` and the data of pattern SEED. */
static void check_memory(char *p, uint64_t seed, const char *who)
{
	pattern_check_tags(p, LEN, seed, who);
	pattern_check_data(p, LEN, SEED, who);
}

static void tracee_check_poked(void)
{
	check_memory(tracee->mem, POKED, "tracee");
}

static void tracee_check_old(void)
{
	check_memory(tracee->mem, SEED, "tracee");
}

/* Peeks, pokes and peeks tags of the tracee; the caller's mapping keeps its tags. */
static void poke_private(char *p, char *caller, const char *what)
{
	pid_t pid;

	pid = tracee_start();
	tracee->mem = p;
	check_peek(pid, p, tags, COUNT, what);
	must_poke(pid, p, poked, COUNT);
	check_peek(pid, p, poked, COUNT, what);
	if (caller)
		check_memory(caller, SEED, what);
	tracee_run(pid, tracee_check_poked);
	tracee_end(pid);
	if (caller)
		check_memory(caller, SEED, what);
}

static void check_sibling(char *p)
{
	check_memory(p, SEED, "sibling of the tracee");
}

static void shared_by_fork(void)
{
	struct held_child sibling;
	char *p;

	start();
	p = tagged_map(LEN, SEED);
	sibling = hold_child(check_sibling, p);
	poke_private(p, p, "page shared by fork");
	release_child(&sibling);
}

/* A poke of one tag: the copy must have the other tags of the page. */
static void one_tag_of_a_shared_page(void)
{
	unsigned char one;
	char *p;
	pid_t pid;

	start();
	one = (tags[300] + 1) & 15;
	p = mte_map(LEN);
	pattern_set(p, LEN, SEED);
	pid = tracee_start();
	must_poke(pid, p + 300 * GRANULE, &one, 1);
	tags[300] = one;
	check_peek(pid, p, tags, COUNT, "one tag poked");
	check_memory(p, SEED, "tracer");
}

static void unprotect_and_check(void)
{
	MUST(mprotect(tracee->mem, LEN, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
	check_memory(tracee->mem, POKED, "tracee, writable again");
	pattern_set(tracee->mem, LEN, 33);
	pattern_check(tracee->mem, LEN, 33, "tracee, written");
}

static void read_only_private(void)
{
	char *p;
	pid_t pid;

	start();
	p = mte_map(LEN);
	pattern_set(p, LEN, SEED);
	MUST(mprotect(p, LEN, PROT_READ | PROT_MTE) == 0, "mprotect");
	poke_private(p, p, "read-only page");
	pid = tracee_start();
	tracee->mem = p;
	must_poke(pid, p, poked, COUNT);
	tracee_run(pid, unprotect_and_check);
	check_memory(p, SEED, "tracer");
}

/* ptrace() reads and writes memory that the program may not access. */
static void no_access_private(void)
{
	char *p;

	start();
	p = mte_map(LEN);
	pattern_set(p, LEN, SEED);
	MUST(mprotect(p, LEN, PROT_NONE | PROT_MTE) == 0, "mprotect");
	pid_t pid = tracee_start();
	tracee->mem = p;
	check_peek(pid, p, tags, COUNT, "PROT_NONE");
	must_poke(pid, p, poked, COUNT);
	check_peek(pid, p, poked, COUNT, "PROT_NONE");
	tracee_run(pid, unprotect_and_check);
	MUST(mprotect(p, LEN, PROT_READ | PROT_MTE) == 0, "mprotect");
	check_memory(p, SEED, "tracer");
}

static void shared_mapping(void)
{
	int fd = memory_file(LEN), pass;
	char *p, *q;
	pid_t pid;

	start();
	for (pass = 0; pass < 2; pass++) {
		/* Anonymous shared memory, then a file mapped twice. */
		p = map_file(pass ? fd : -1, LEN, PROT_RW_MTE,
			     MAP_SHARED | (pass ? 0 : MAP_ANONYMOUS));
		q = pass ? map_file(fd, LEN, PROT_RW_MTE, MAP_SHARED) : p;
		pattern_set(p, LEN, SEED);
		pid = tracee_start();
		tracee->mem = p;
		check_peek(pid, p, tags, COUNT, "shared");
		must_poke(pid, p, poked, COUNT);
		check_memory(q, POKED, "tracer, of a shared page");
		tracee_run(pid, tracee_check_poked);
		tracee_end(pid);
	}
}

/* A shared page without write access: the poke is refused, as there can be no copy. */
static void read_only_shared(void)
{
	unsigned char buf[4] = { 1, 2, 3, 4 };
	int fd = memory_file(LEN);
	char *p = map_file(fd, LEN, PROT_RW_MTE, MAP_SHARED);
	char *q = map_file(fd, LEN, PROT_READ | PROT_MTE, MAP_SHARED);
	size_t n = 4;
	pid_t pid;

	start();
	pattern_set(p, LEN, SEED);
	pid = tracee_start();
	tracee->mem = q;
	CHECK_EQ(poke_tags(pid, q, buf, &n), -EIO, "poke of a read-only shared page");
	check_peek(pid, q, tags, COUNT, "read-only shared");
	tracee_run(pid, tracee_check_old);
	check_memory(p, SEED, "tracer");
}

/* A private mapping of a file: the file keeps its tags. */
static void private_file_page(void)
{
	int fd = memory_file(LEN);
	char *shared = map_file(fd, LEN, PROT_RW_MTE, MAP_SHARED);
	char *private = map_file(fd, LEN, PROT_RW_MTE, MAP_PRIVATE);

	start();
	pattern_set(shared, LEN, SEED);
	check_memory(private, SEED, "private mapping of the file");
	poke_private(private, shared, "private file page");
	check_memory(private, SEED, "tracer's private mapping");
}

/* Tracee: maps `mem`; reads it if value[0] is set, so that every page is the zero page. */
static void map_zero_pages(void)
{
	char *p = mte_map(LEN);
	size_t i;

	for (i = 0; i < LEN && tracee->value[0]; i += PAGE)
		(void)*(volatile char *)(p + i);
	tracee->mem = p;
}

static void check_zero_data(void)
{
	size_t g, bad = 0;

	for (g = 0; g < COUNT; g++) {
		char *at = tracee->mem + g * GRANULE;
		uint64_t *word = with_tag(at, ldg(at));

		bad += ldg(at) != poked[g] || word[0] || word[1];
	}
	CHECK_EQ(bad, 0, "granules with other tags than poked, or data that is not 0");
}

static void zero_page(void)
{
	char *p;
	int touch;

	start();
	for (touch = 0; touch < 2; touch++) {
		pid_t pid;

		pid = tracee_start();
		tracee->value[0] = touch;
		tracee_run(pid, map_zero_pages);
		check_peek(pid, tracee->mem, zeros, COUNT, touch ? "zero page" : "never touched");
		must_poke(pid, tracee->mem, poked, COUNT);
		check_peek(pid, tracee->mem, poked, COUNT,
			   touch ? "zero page, poked" : "poked first");
		tracee_run(pid, check_zero_data);
		tracee_end(pid);

		/* The zero page itself did not change. */
		p = mte_map(LEN);
		(void)*(volatile char *)p;
		tags_zero_check(p, LEN, "zero page of another process");
	}
}

/* Peeks do not break the sharing by fork: a write of the parent still makes a copy. */
static void peek_shares_on(void)
{
	char *p;
	pid_t pid;

	start();
	p = mte_map(LEN);
	pattern_set(p, LEN, SEED);
	pid = tracee_start();
	tracee->mem = p;
	check_peek(pid, p, tags, COUNT, "shared by fork");
	pattern_set(p, LEN, 34);
	check_peek(pid, p, tags, COUNT, "shared by fork, the tracer has written");
	tracee_run(pid, tracee_check_old);
	pattern_check(p, LEN, 34, "tracer");
}

PROBE(CASE(shared_by_fork), CASE(one_tag_of_a_shared_page), CASE(read_only_private),
      CASE(no_access_private), CASE(shared_mapping), CASE(read_only_shared),
      CASE(private_file_page), CASE(zero_page), CASE(peek_shares_on));
