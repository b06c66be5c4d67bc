/* SPDX-License-Identifier: MIT */
/*
 * Tags memory by a known pattern and aborts, so that another program can read
 * the core and compare: harness/probe/coredump.py read_tag_segments() and
 * pattern_tags() on the host, gdb, or any other reader.
 *
 * Before abort() it prints a line for each PROT_MTE mapping on stdout:
 *
 *	ADDRESS LENGTH SEED
 *
 * address and length in hexadecimal, seed in decimal. The tag of granule n of a
 * mapping is pattern_tag(seed, n) of guest/include/mte.h, and its 16 bytes are
 * pattern_hash(seed ^ 1, n) and the complement. A seed of 0 says that nothing
 * was written: tags and data are 0. Every other mapping has no PROT_MTE.
 *
 * The core goes where /proc/sys/kernel/core_pattern says, by default to `core`
 * in the working directory; RLIMIT_CORE is raised to the hard limit.
 */
#include <sys/resource.h>

#include "mte.h"

/* ktap.h comes with mte.h; this program has no cases to run. */

/* Mappings apart from each other, so that no two merge into one. */
static char *map_apart(size_t pages, int prot)
{
	char *room = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED || mprotect(room + PAGE, pages * PAGE, prot)) {
		perror("tagged_abort: mmap");
		exit(2);
	}
	return room + PAGE;
}

static void announce(const char *p, size_t len, unsigned int seed)
{
	printf("%lx %lx %u\n", (unsigned long)p, (unsigned long)len, seed);
}

int main(void)
{
	static const size_t pages[] = { 1, 2, 3, 17, 64 };
	int rwm = PROT_READ | PROT_WRITE | PROT_MTE;
	struct rlimit limit;
	unsigned int i;
	char *p;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE)) {
		fprintf(stderr, "tagged_abort: no MTE on this machine or kernel\n");
		return 2;
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		p = map_apart(pages[i], rwm);
		pattern_set(p, pages[i] * PAGE, i + 1);
		announce(p, pages[i] * PAGE, i + 1);
		memset(map_apart(1, PROT_READ | PROT_WRITE), 0xa5, PAGE);
	}
	/* Four pages of which the last is written: the tags of the others are 0. */
	p = map_apart(4, rwm);
	pattern_set(p + 3 * PAGE, PAGE, 100);
	announce(p, 3 * PAGE, 0);
	announce(p + 3 * PAGE, PAGE, 100);
	fflush(stdout);
	if (getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_CORE, &limit);
	}
	abort();
}
