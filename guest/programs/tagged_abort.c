/* SPDX-License-Identifier: MIT */
/*
 * Tags memory by a pattern and aborts, so that another program can read the core and
 * compare: the harness on the host (tests/validation/test_coredump.py), or any other reader.
 *
 * Before abort() it prints a line for each PROT_MTE mapping on stdout:
 *
 *	ADDRESS LENGTH SEED
 *
 * with address and length in hexadecimal and seed in decimal. Tag and data of granule n of
 * the mapping are pattern_tag(seed, n) and pattern_data(seed, n) (guest/include/pattern.h).
 * A seed of 0 means that nothing was written: tags and data are 0. All other mappings are
 * without PROT_MTE.
 *
 * The core is written to the file that /proc/sys/kernel/core_pattern names, by default
 * `core` in the working directory; RLIMIT_CORE is raised to the hard limit.
 */
#include <sys/resource.h>

#include "mte.h"

/* Maps memory between two PROT_NONE pages, so that no two mappings merge. */
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
	int rwm = PROT_RW_MTE;
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
	/* Of four pages only the last is written: the tags of the others are 0. */
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
