/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_cow
 * needs: CONFIG_ARM64_MTE
 * timeout: 30
 *
 * PTRACE_POKEMTETAGS writes: to a private page it breaks the sharing first, so
 * that nobody else's tags change, and to a shared one everybody sees it. PEEK
 * does neither. That holds for pages shared by fork(), read-only mappings,
 * file pages, the zero page and pages never touched. arch/arm64/kernel/mte.c
 * __access_remote_tags() with FOLL_FORCE | FOLL_WRITE; mm/gup.c
 * faultin_page(), can_follow_write_pte(); mm/memory.c do_wp_page().
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

/* The tags of `seed`'s pattern, the data of SEED's. */
static void check_memory(char *p, uint64_t seed, const char *who)
{
	size_t g, bad_tags = 0, bad_data = 0;

	for (g = 0; g < COUNT; g++) {
		char *at = (char *)untagged(p) + g * GRANULE;
		uint64_t *word = with_tag(at, ldg(at));

		bad_tags += ldg(at) != pattern_tag(seed, g);
		bad_data += word[0] != pattern_hash(SEED ^ 1, g) || word[1] != ~word[0];
	}
	CHECK_EQ(bad_tags, 0, "%s: wrong tags of %d", who, COUNT);
	CHECK_EQ(bad_data, 0, "%s: wrong data of %d granules", who, COUNT);
}

static void tracee_check_poked(void)
{
	check_memory(tracee->mem, POKED, "tracee");
}

static void tracee_check_old(void)
{
	check_memory(tracee->mem, SEED, "tracee");
}

/* Peek, poke, peek in the tracee; the caller's mapping keeps its tags. */
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

static void shared_by_fork(void)
{
	char *p;
	pid_t sibling;
	int go[2];
	char c;

	start();
	p = mte_map(LEN);
	pattern_set(p, LEN, SEED);
	MUST(pipe(go) == 0, "pipe");
	sibling = child_fork();
	if (!sibling) {
		close(go[1]);
		if (read(go[0], &c, 1) == 0)
			check_memory(p, SEED, "sibling of the tracee");
		_exit(0);
	}
	MUST(sibling > 0, "fork");
	poke_private(p, p, "page shared by fork");
	close(go[1]);
	wait_child(sibling);
}

/* One tag only: the rest of the page must come along. */
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

/* A debugger may look into and write to what the program may not. */
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
	int fd = memfd_create("probe", 0), pass;
	char *p, *q;
	pid_t pid;

	start();
	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd");
	for (pass = 0; pass < 2; pass++) {
		/* Anonymous shared memory, then a file mapped twice. */
		p = mmap(NULL, LEN, PROT_READ | PROT_WRITE | PROT_MTE,
			 MAP_SHARED | (pass ? 0 : MAP_ANONYMOUS), pass ? fd : -1, 0);
		q = pass ? mmap(NULL, LEN, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED, fd, 0)
			 : p;
		MUST(p != MAP_FAILED && q != MAP_FAILED, "mmap");
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

/* No write access to a shared page, and no copy to write to instead. */
static void read_only_shared(void)
{
	unsigned char buf[4] = { 1, 2, 3, 4 };
	int fd = memfd_create("probe", 0);
	char *p, *q;
	size_t n = 4;
	pid_t pid;

	start();
	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd");
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED, fd, 0);
	q = mmap(NULL, LEN, PROT_READ | PROT_MTE, MAP_SHARED, fd, 0);
	MUST(p != MAP_FAILED && q != MAP_FAILED, "mmap");
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
	int fd = memfd_create("probe", 0);
	char *shared, *private;

	start();
	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd");
	shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED, fd, 0);
	private = mmap(NULL, LEN, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE, fd, 0);
	MUST(shared != MAP_FAILED && private != MAP_FAILED, "mmap");
	pattern_set(shared, LEN, SEED);
	check_memory(private, SEED, "private mapping of the file");
	poke_private(private, shared, "private file page");
	check_memory(private, SEED, "tracer's private mapping");
}

/* Tracee: `mem` all read, so that every page is the zero page; value[0] says touch. */
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

		/* Everybody else's zero page. */
		p = mte_map(LEN);
		(void)*(volatile char *)p;
		tags_zero_check(p, LEN, "zero page of another process");
	}
}

/* After peeks only, fork's sharing is as it was: the parent's write is not the child's. */
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
