/* SPDX-License-Identifier: MIT */
/*
 * probe: core_pages
 * needs: CONFIG_ARM64_MTE CONFIG_ELF_CORE CONFIG_COREDUMP CONFIG_SWAP CONFIG_TRANSPARENT_HUGEPAGE CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * disk: swapped_pages
 * timeout: 60
 *
 * The tags in a core dump are right for every kind of page: not present, only read,
 * swapped out, huge, shared, without access. A mapping of which nothing or only the first
 * page is dumped has a tag segment of just that length. arch/arm64/kernel/elfcore.c
 * mte_dump_tag_range(), mte_vma_tag_dump_size(); mm/gup.c get_dump_page(); fs/coredump.c
 * vma_dump_size().
 */
#include "core_reader.h"
#include "swap.h"
#include "thp.h"

enum { PAGES = 12, LEN = PAGES * PAGE, SEED = 81, RWM = PROT_READ | PROT_WRITE | PROT_MTE };

/* Of each three pages one is filled, one only read, and one never touched. */
static void holes_child(void)
{
	char *p = core_map(PAGES, RWM);
	size_t page;

	for (page = 0; page < PAGES; page += 3)
		pattern_set(p + page * PAGE, PAGE, SEED + page);
	for (page = 1; page < PAGES; page += 3)
		(void)*(volatile char *)(p + page * PAGE);
}

static void check_page(const struct core *c, const char *mem, size_t page, bool filled,
		       uint64_t seed)
{
	Elf64_Phdr *tags = core_segment(c, PT_AARCH64_MEMTAG_MTE, mem);
	Elf64_Phdr *load = core_segment(c, PT_LOAD, mem);
	size_t g, bad = 0;

	for (g = 0; g < GRANULES_PER_PAGE; g++) {
		size_t at = page * GRANULES_PER_PAGE + g;
		const uint64_t *word = (const void *)(c->data + load->p_offset + at * GRANULE);

		bad += core_tag(c, tags, at) != (filled ? pattern_tag(seed, g) : 0);
		bad += word[0] != (filled ? pattern_data(seed, g) : 0);
	}
	CHECK_EQ(bad, 0, "page %zu, %s: wrong tags and words", page, filled ? "filled" : "zero");
}

static void pages_that_are_not_there(void)
{
	struct core c;
	size_t page;

	mte_need();
	c = core_of(holes_child);
	core_check_header(&c, core_shared->mem[0], LEN, LEN, "with holes");
	for (page = 0; page < PAGES; page++)
		check_page(&c, core_shared->mem[0], page, page % 3 == 0, SEED + page);
	core_close(&c);
}

/* A mapping that is not dumped, as it was never written to, between two that are. */
static void empty_child(void)
{
	pattern_set(core_map(2, RWM), 2 * PAGE, SEED);
	core_map(5, RWM);
	pattern_set(core_map(2, RWM), 2 * PAGE, SEED + 1);
}

static void empty_mapping(void)
{
	struct core c;

	mte_need();
	c = core_of(empty_child);
	core_check_pattern(&c, core_shared->mem[0], 2 * PAGE, SEED, "before the empty one");
	core_check_header(&c, core_shared->mem[1], 5 * PAGE, 0, "empty");
	core_check_pattern(&c, core_shared->mem[2], 2 * PAGE, SEED + 1, "after the empty one");
	core_close(&c);
}

static void swapped_child(void)
{
	char *p;

	memcg_enter();
	p = core_map(PAGES, RWM);
	pattern_set(p, LEN, SEED);
	page_out(p, LEN);
}

static void swapped_pages(void)
{
	struct core c;

	mte_need();
	swap_disk();
	c = core_of(swapped_child);
	core_check_pattern(&c, core_shared->mem[0], LEN, SEED, "swapped out");
	core_close(&c);
}

static void huge_child(void)
{
	char *p = core_note(thp_alloc(1, PROT_RW_MTE));

	pattern_set(p, HUGE, SEED);
	need_huge(p, HUGE, 1);
}

static void huge_page(void)
{
	struct core c;

	HUGE_FITS();
	mte_need();
	c = core_of(huge_child);
	core_check_pattern(&c, core_shared->mem[0], HUGE, SEED, "huge page");
	core_close(&c);
}

static void shared_child(void)
{
	int fd = memory_file(LEN);
	char *p;

	p = core_note(mmap(NULL, LEN, RWM, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pattern_set(p, LEN, SEED);
	p = core_note(mmap(NULL, LEN, RWM, MAP_SHARED, fd, 0));
	pattern_set(p, LEN, SEED + 1);
	p = core_note(mmap(NULL, LEN, RWM, MAP_PRIVATE, fd, 0));
	pattern_set(p, LEN, SEED + 2);
}

static void shared_memory(void)
{
	struct core c;

	mte_need();
	c = core_of(shared_child);
	core_check_pattern(&c, core_shared->mem[0], LEN, SEED, "shared anonymous");
	core_check_pattern(&c, core_shared->mem[1], LEN, SEED + 1, "memfd, shared");
	core_check_pattern(&c, core_shared->mem[2], LEN, SEED + 2, "memfd, private, written");
	core_close(&c);
}

static void protected_child(void)
{
	char *p = core_map(PAGES, RWM);

	pattern_set(p, LEN, SEED);
	MUST(mprotect(p, LEN, PROT_NONE | PROT_MTE) == 0, "mprotect");
	p = core_map(PAGES, RWM);
	pattern_set(p, LEN, SEED + 1);
	MUST(mprotect(p, LEN, PROT_READ | PROT_MTE) == 0, "mprotect");
	core_map(PAGES, PROT_NONE | PROT_MTE);
}

static void protected_memory(void)
{
	struct core c;

	mte_need();
	c = core_of(protected_child);
	core_check_pattern(&c, core_shared->mem[0], LEN, SEED, "no access");
	core_check_pattern(&c, core_shared->mem[1], LEN, SEED + 1, "read only");
	core_check_header(&c, core_shared->mem[2], LEN, 0, "never any access");
	core_close(&c);
}

/* Memory that is not dumped has a segment of its whole size, and no bytes in the file. */
static void left_out_child(void)
{
	char *p = core_map(PAGES, RWM);

	pattern_set(p, LEN, SEED);
	MUST(madvise(p, LEN, MADV_DONTDUMP) == 0, "MADV_DONTDUMP");
	pattern_set(core_map(3, RWM), 3 * PAGE, SEED + 1);
}

static void left_out_memory(void)
{
	struct core c;

	mte_need();
	c = core_of(left_out_child);
	core_check_header(&c, core_shared->mem[0], LEN, 0, "MADV_DONTDUMP");
	core_check_pattern(&c, core_shared->mem[1], 3 * PAGE, SEED + 1, "after MADV_DONTDUMP");
	core_close(&c);
}

static void filtered_child(void)
{
	left_out_child();
	write_file("/proc/self/coredump_filter", "0x2"); /* anonymous shared only */
	shared_child();
}

static void filtered_memory(void)
{
	struct core c;

	mte_need();
	c = core_of(filtered_child);
	core_check_header(&c, core_shared->mem[0], LEN, 0, "private, filtered");
	core_check_header(&c, core_shared->mem[1], 3 * PAGE, 0, "private, filtered");
	core_check_pattern(&c, core_shared->mem[2], LEN, SEED, "shared, not filtered");
	core_close(&c);
}

/* With filter bit 4 only the first page of an ELF file that is mapped for reading is dumped. */
static void elf_file_child(void)
{
	int fd = memory_file(3 * PAGE);
	char *p = map_file(fd, 3 * PAGE, RWM, MAP_SHARED);
	char *q = map_file(fd, 3 * PAGE, PROT_READ | PROT_MTE, MAP_PRIVATE);

	pattern_set(p, 3 * PAGE, SEED);
	memcpy(p, ELFMAG, SELFMAG);
	core_note(q);
	pattern_set(core_map(3, RWM), 3 * PAGE, SEED + 1);
	touch_read(q, 3 * PAGE);
	write_file("/proc/self/coredump_filter", "0x11");
}

static void first_page_of_a_file(void)
{
	Elf64_Phdr *tags;
	struct core c;
	size_t g, bad = 0;

	mte_need();
	c = core_of(elf_file_child);
	tags = core_check_header(&c, core_shared->mem[0], 3 * PAGE, PAGE, "ELF file");
	for (g = 0; g < GRANULES_PER_PAGE; g++)
		bad += core_tag(&c, tags, g) != pattern_tag(SEED, g);
	CHECK_EQ(bad, 0, "wrong tags of the ELF file's first page");
	core_check_pattern(&c, core_shared->mem[1], 3 * PAGE, SEED + 1, "beside the ELF file");
	core_close(&c);
}

PROBE(CASE(pages_that_are_not_there), CASE(empty_mapping), CASE(swapped_pages), CASE(huge_page),
      CASE(shared_memory), CASE(protected_memory), CASE(left_out_memory), CASE(filtered_memory),
      CASE(first_page_of_a_file));
