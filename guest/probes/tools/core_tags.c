/* SPDX-License-Identifier: MIT */
/*
 * probe: core_tags
 * needs: CONFIG_ARM64_MTE CONFIG_ELF_CORE CONFIG_COREDUMP CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 * smoke: yes
 *
 * A core dump has one PT_AARCH64_MEMTAG_MTE segment for each PROT_MTE mapping and none for
 * others, with the address and size of the mapping, and with every tag of it, two tags per
 * byte. The data segments are right as well. arch/arm64/kernel/elfcore.c; lib/mte.S
 * mte_save_page_tags(); fs/binfmt_elf.c elf_core_dump().
 */
#include "core_reader.h"

enum { RWM = PROT_READ | PROT_WRITE | PROT_MTE };

static void one_mapping_child(void)
{
	pattern_set(core_map(16, RWM), 16 * PAGE, 61);
}

static void one_mapping(void)
{
	struct core c;

	mte_need();
	c = core_of(one_mapping_child);
	CHECK_EQ(core_count(&c, PT_AARCH64_MEMTAG_MTE), 1, "tag segments");
	core_check_pattern(&c, core_shared->mem[0], 16 * PAGE, 61, "16 pages");
	core_close(&c);
}

static const size_t sizes[] = { 1, 2, 3, 5, 7, 13, 31, 64, 1 };

enum { SIZES = ARRAY_SIZE(sizes) };

/* Between the mappings are others without PROT_MTE, which must have no tag segment. */
static void many_sizes_child(void)
{
	size_t i;

	for (i = 0; i < SIZES; i++) {
		pattern_set(core_map(sizes[i], RWM), sizes[i] * PAGE, 70 + i);
		memset(core_map(sizes[i], PROT_READ | PROT_WRITE), 70 + i, sizes[i] * PAGE);
	}
}

static void many_sizes(void)
{
	struct core c;
	size_t i, byte, bad;

	mte_need();
	c = core_of(many_sizes_child);
	MUST(core_shared->mte_vmas == SIZES, "%d PROT_MTE mappings in smaps",
	     core_shared->mte_vmas);
	CHECK_EQ(core_count(&c, PT_AARCH64_MEMTAG_MTE), SIZES, "tag segments");
	for (i = 0; i < SIZES; i++) {
		char *plain = core_shared->mem[2 * i + 1];
		Elf64_Phdr *load = core_segment(&c, PT_LOAD, plain);

		core_check_pattern(&c, core_shared->mem[2 * i], sizes[i] * PAGE, 70 + i, "mapping");
		CHECK(!core_segment(&c, PT_AARCH64_MEMTAG_MTE, plain),
		      "tag segment without PROT_MTE");
		MUST(load, "no data segment for %p", plain);
		for (byte = bad = 0; byte < load->p_filesz; byte++)
			bad += c.data[load->p_offset + byte] != 70 + i;
		CHECK_EQ(bad, 0, "wrong bytes of a mapping without PROT_MTE");
	}
	core_close(&c);
}

/* The tags of a page count up, which shows their order and packing. */
static void packing_child(void)
{
	char *p = core_map(1, RWM);
	size_t g;

	for (g = 0; g < GRANULES_PER_PAGE; g++)
		stg(p + g * GRANULE, g);
}

static void packing(void)
{
	struct core c;
	Elf64_Phdr *tags;
	size_t i;

	mte_need();
	c = core_of(packing_child);
	tags = core_check_header(&c, core_shared->mem[0], PAGE, PAGE, "counting tags");
	for (i = 0; i < TAG_BYTES(PAGE); i++)
		CHECK_EQ(c.data[tags->p_offset + i], (2 * i + 1) % 16 << 4 | (2 * i) % 16,
			 "byte %zu of the tags", i);
	core_close(&c);
}

/* Tag segments are behind all data, one after the other, in the order of the mappings. */
static void layout(void)
{
	struct core c;
	Elf64_Phdr *last = NULL, *ph;
	size_t data_end = 0;
	int i;

	mte_need();
	c = core_of(many_sizes_child);
	for (i = 0; i < c.count; i++)
		if (c.ph[i].p_type == PT_LOAD && c.ph[i].p_offset + c.ph[i].p_filesz > data_end)
			data_end = c.ph[i].p_offset + c.ph[i].p_filesz;
	for (i = 0; i < c.count; i++) {
		ph = &c.ph[i];
		if (ph->p_type != PT_AARCH64_MEMTAG_MTE)
			continue;
		CHECK_EQ(ph->p_offset, last ? last->p_offset + last->p_filesz : data_end,
			 "p_offset of the tag segment at %#llx", (unsigned long long)ph->p_vaddr);
		CHECK(!last || last->p_vaddr < ph->p_vaddr, "tag segments out of order");
		last = ph;
	}
	MUST(last, "no tag segments");
	CHECK_EQ(c.size, last->p_offset + last->p_filesz, "size of the core");
	core_close(&c);
}

/* A program that never used MTE. */
static void without_mte_child(void)
{
	memset(core_map(3, PROT_READ | PROT_WRITE), 1, 3 * PAGE);
}

static void program_without_mte(void)
{
	struct core c;

	mte_need();
	c = core_of(without_mte_child);
	CHECK_EQ(core_count(&c, PT_AARCH64_MEMTAG_MTE), 0, "tag segments");
	CHECK(core_segment(&c, PT_LOAD, core_shared->mem[0]), "no data segment");
	core_close(&c);
}

PROBE(CASE(one_mapping), CASE(many_sizes), CASE(packing), CASE(layout), CASE(program_without_mte));
