/* SPDX-License-Identifier: MIT */
/*
 * probe: hugetlb_core_tags
 * needs: CONFIG_ARM64_MTE CONFIG_ELF_CORE CONFIG_COREDUMP CONFIG_HUGETLBFS CONFIG_PROC_PAGE_MONITOR
 * since: 6.13 25c17c4b55de
 * timeout: 60
 *
 * The tags of hugetlb memory in a core dump. On 7.3.4 the tag segment has those of the first
 * page of each huge page only, and zeros for the rest: mte_dump_tag_range()
 * (arch/arm64/kernel/elfcore.c) asks each page for PG_mte_tagged, which hugetlb sets on the
 * head page alone (folio_set_hugetlb_mte_tagged(), arch/arm64/include/asm/mte.h).
 */
#include "core_reader.h"

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
enum { COUNT = 2, HUGE_BYTES = 2 << 20 };

static void tagged_child(void)
{
	char *p = mmap(NULL, COUNT * HUGE_BYTES, PROT_RW_MTE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	MUST(p != MAP_FAILED, "mmap of huge pages");
	pattern_set(core_note(p), COUNT * HUGE_BYTES, 5);
}

static void tags_of_huge_pages(void)
{
	struct core c;

	mte_need();
	write_file(POOL, "2");
	NEED(read_long(POOL) == COUNT, "the kernel gave no huge pages");
	c = core_of(tagged_child);
	CHECK_EQ(core_count(&c, PT_AARCH64_MEMTAG_MTE), 1, "tag segments");
	core_check_pattern(&c, core_shared->mem[0], COUNT * HUGE_BYTES, 5, "huge pages");
	core_close(&c);
}

PROBE(CASE(tags_of_huge_pages));
