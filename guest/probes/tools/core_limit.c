/* SPDX-License-Identifier: MIT */
/*
 * probe: core_limit
 * needs: CONFIG_ARM64_MTE CONFIG_ELF_CORE CONFIG_COREDUMP CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_MEMCG
 * disk: buffers_are_freed_once
 * timeout: 90
 *
 * A core dump that ends within the tags, because RLIMIT_CORE is reached or the reader of
 * the pipe is gone, ends there and does no harm (736eedc974ea: the tag buffer was freed
 * twice, so that two swapped pages got one buffer for their tags), and a dump frees all memory
 * that it allocated. arch/arm64/kernel/elfcore.c
 * mte_dump_tag_range(); fs/coredump.c dump_emit().
 */
#include <limits.h>
#include <sys/stat.h>

#include "core_reader.h"
#include "swap.h"

enum { PAGES = 64, LEN = PAGES * PAGE, SEED = 91, RWM = PROT_READ | PROT_WRITE | PROT_MTE };
enum { STEP = LEN / GRANULE / 2 / 4 }; /* a quarter of the tags */

static void one_mapping(void)
{
	pattern_set(core_map(PAGES, RWM), LEN, SEED);
}

/* Whether a dump with this limit is complete. The limit counts bytes written, not holes. */
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

/* The smallest limit, by 1 KiB, with which a dump is complete. */
static rlim_t smallest_limit(void)
{
	rlim_t enough = LEN + (15 << 18), little = 64 << 10, limit;

	MUST(whole(enough), "a core of all pages and 3.75 MiB is not complete");
	while (enough - little > 1024) {
		limit = (enough + little) / 2;
		if (whole(limit))
			enough = limit;
		else
			little = limit;
	}
	return enough;
}

/* Tries limits below the smallest that is enough: the tags are at the end. */
static void limit_inside_the_tags(void)
{
	rlim_t enough, limit;
	struct core c;

	mte_need();
	enough = smallest_limit();
	for (limit = 1; limit <= 6; limit++)
		CHECK(!whole(enough - limit * STEP),
		      "complete core with %llu bytes less than it needs",
		      (unsigned long long)(limit * STEP));
	c = core_of(one_mapping);
	core_check_pattern(&c, core_shared->mem[0], LEN, SEED, "without a limit, afterwards");
	core_close(&c);
}

/*
 * A tag buffer that was freed twice is handed out twice. The next who need such buffers are
 * pages that go to swap (mte_allocate_tag_storage(), arch/arm64/mm/mteswap.c), on the CPU
 * that freed them: then two pages have the tags of one.
 */
static void buffers_are_freed_once(void)
{
	rlim_t enough;
	char *p;
	int i;

	swap_begin(swap_disk);
	enough = smallest_limit();
	for (i = 1; i <= 12; i++)
		CHECK(!whole(enough - (1 + i % 4) * STEP), "complete core with too low a limit");
	p = mte_map(LEN);
	pattern_set(p, LEN, SEED);
	page_out(p, LEN);
	pattern_check(p, LEN, SEED, "swapped after cores that were cut");
}

enum { MAPPINGS = 300, EACH = 2, DUMPS = 8 };

/*
 * Half of what all dumps leak if they leak pages, and if they leak tag buffers: 19200 kB and
 * 300 kB with pages of 4 KiB.
 */
enum { FREE_KB = 10000 * (PAGE / 4096), SLAB_KB = 150 * (PAGE / 4096) };

/* Many small mappings, so that a leak for each mapping or page adds up. */
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
 * Per-CPU lists and the page cache take memory once; a leak takes memory in each round, so
 * the case passes if one round takes none.
 */
static void memory_is_given_back(void)
{
	long slab, free, slab_lost = LONG_MAX, free_lost = LONG_MAX;
	int round;

	mte_need();
	dump_many(2);
	for (round = 0; round < 4 && (free_lost >= FREE_KB || slab_lost >= SLAB_KB); round++) {
		slab = meminfo_kb("SUnreclaim");
		free = meminfo_kb("MemFree");
		dump_many(DUMPS);
		slab_lost = meminfo_kb("SUnreclaim") - slab;
		free_lost = free - meminfo_kb("MemFree");
		ktap_note("SUnreclaim %+ld kB, MemFree %+ld kB", slab_lost, -free_lost);
	}
	CHECK(free_lost < FREE_KB, "memory that %d dumps did not free: %ld kB", DUMPS, free_lost);
	CHECK(slab_lost < SLAB_KB, "slab memory that %d dumps did not free: %ld kB", DUMPS,
	      slab_lost);
}

PROBE(CASE_SECONDS(limit_inside_the_tags, 30), CASE_SECONDS(buffers_are_freed_once, 30),
      CASE_SECONDS(memory_is_given_back, 30));
