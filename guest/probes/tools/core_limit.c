/* SPDX-License-Identifier: MIT */
/*
 * probe: core_limit
 * needs: CONFIG_ARM64_MTE CONFIG_ELF_CORE CONFIG_COREDUMP CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * A dump that ends in the middle of the tags, because RLIMIT_CORE is reached or
 * the pipe's reader is gone, ends there and hurts nobody (736eedc974ea freed
 * the tag buffer twice), and a dump gives back all memory that it took.
 * arch/arm64/kernel/elfcore.c mte_dump_tag_range(); fs/coredump.c dump_emit().
 */
#include <limits.h>
#include <sys/stat.h>

#include "core_reader.h"

enum { PAGES = 64, LEN = PAGES * PAGE, SEED = 91, RWM = PROT_READ | PROT_WRITE | PROT_MTE };

static void one_mapping(void)
{
	pattern_set(core_map(PAGES, RWM), LEN, SEED);
}

/* Is the core of a dump with this limit whole? The limit counts bytes written, not holes. */
static bool whole(rlim_t limit)
{
	const char *path = core_dump(one_mapping, limit, false);
	Elf64_Phdr *tags = NULL;
	struct stat st;
	struct core c;
	int i;

	if (!path || stat(path, &st) || st.st_size < (off_t)sizeof(Elf64_Ehdr))
		return false;
	c = core_open(path);
	for (i = 0; i < c.count; i++)
		if (c.ph[i].p_type == PT_AARCH64_MEMTAG_MTE)
			tags = &c.ph[i];
	MUST(tags, "no tag segment in a core of %zu bytes", c.size);
	i = tags->p_offset + tags->p_filesz <= c.size;
	core_close(&c);
	return i;
}

/* The tags are the last 8 KiB: limits from the smallest that is enough downwards. */
static void limit_inside_the_tags(void)
{
	rlim_t enough = 4 << 20, little = 64 << 10, limit;
	struct core c;

	mte_need();
	MUST(whole(enough), "a core of 4 MiB at most is not whole");
	while (enough - little > 1024) {
		limit = (enough + little) / 2;
		if (whole(limit))
			enough = limit;
		else
			little = limit;
	}
	for (limit = 1; limit <= 6; limit++)
		CHECK(!whole(enough - limit * 2048),
		      "whole core with %llu bytes less than it needs",
		      (unsigned long long)limit * 2048);
	c = core_of(one_mapping);
	core_check_pattern(&c, core_shared->mem[0], LEN, SEED, "without a limit, afterwards");
	core_close(&c);
}

enum { MAPPINGS = 300, EACH = 2, DUMPS = 8 };

/* Many small mappings: what is lost once a mapping or a page adds up. */
static void many_mappings(void)
{
	char *p = mmap(NULL, MAPPINGS * (EACH + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	int i, j;

	MUST(p != MAP_FAILED, "mmap");
	for (i = 0; i < MAPPINGS; i++, p += (EACH + 1) * PAGE) {
		MUST(mprotect(p, EACH * PAGE, RWM) == 0, "mprotect");
		for (j = 0; j < EACH; j++)
			stg(p + j * PAGE, 1);
	}
}

static void dump_many(int times)
{
	while (times--) {
		struct core c = core_of(many_mappings);

		MUST(core_count(&c, PT_AARCH64_MEMTAG_MTE) == MAPPINGS, "%d tag segments",
		     core_count(&c, PT_AARCH64_MEMTAG_MTE));
		core_close(&c);
	}
	core_dump(many_mappings, 0, false); /* removes the last core */
}

/*
 * The lists of the CPUs and the page cache take their share of free memory, once; what is
 * lost is lost in each round.
 */
static void memory_is_given_back(void)
{
	long slab, free, slab_lost = LONG_MAX, free_lost = LONG_MAX;
	int round;

	mte_need();
	dump_many(2);
	/* The pages of all mappings are 19200 kB, a tag buffer of 128 bytes each 300 kB. */
	for (round = 0; round < 4 && (free_lost >= 10000 || slab_lost >= 150); round++) {
		slab = meminfo_kb("SUnreclaim");
		free = meminfo_kb("MemFree");
		dump_many(DUMPS);
		slab_lost = meminfo_kb("SUnreclaim") - slab;
		free_lost = free - meminfo_kb("MemFree");
		ktap_note("SUnreclaim %+ld kB, MemFree %+ld kB", slab_lost, -free_lost);
	}
	CHECK(free_lost < 10000, "memory that %d dumps did not give back: %ld kB", DUMPS,
	      free_lost);
	CHECK(slab_lost < 150, "slab memory that %d dumps did not give back: %ld kB", DUMPS,
	      slab_lost);
}

PROBE(CASE_SECONDS(limit_inside_the_tags, 30), CASE_SECONDS(memory_is_given_back, 30));
