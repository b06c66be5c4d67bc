/* SPDX-License-Identifier: MIT */
/*
 * Tag storage that the kernel reuses for data (CONFIG_ARM64_MTE_TAG_STORAGE of
 * kernel-configs/tag-storage): where it is, what each page of it is used for,
 * and the counters, which must add up.
 *
 * Where it is comes from the device tree, not from the kernel's own arithmetic:
 * Documentation/devicetree/bindings/reserved-memory/arm,mte-tag-storage.yaml.
 */
#ifndef MTE_HARNESS_REUSE_H
#define MTE_HARNESS_REUSE_H

#include <dirent.h>
#include <endian.h>

#include "ktap.h"
#include "mte.h"
#include "procfs.h"
#include "swap.h"

#define STORAGE_PER_PAGE 32	/* pages whose tags are in one page */
#define DEVICE_TREE	"/proc/device-tree"
#define REUSE_REGIONS	8
#define MB		(1UL << 20)

/* In page frames; ends are exclusive. */
struct reuse_region {
	uint64_t base, base_end, storage, storage_end;
	unsigned int block;	/* pages of a block */
};

static struct reuse_region reuse_regions[REUSE_REGIONS];
static int reuse_count;

/* --- where it is --------------------------------------------------------------- */

/* The big-endian cells of a property; how many, 0 if there is no such property. */
static inline size_t reuse_cells(const char *node, const char *property, uint32_t *cells, size_t room)
{
	char path[512];
	ssize_t bytes;
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", node, property);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	bytes = read(fd, cells, room * 4);
	MUST(bytes >= 0, "read %s", path);
	close(fd);
	for (i = 0; i < (size_t)bytes / 4; i++)
		cells[i] = be32toh(cells[i]);
	return bytes / 4;
}

/* First and last page frame, exclusive, of a node's only range. */
static inline void reuse_range(const char *node, uint64_t *first, uint64_t *end)
{
	uint32_t reg[4];

	MUST(reuse_cells(node, "reg", reg, 4) == 4, "%s has no reg of four cells", node);
	*first = ((uint64_t)reg[0] << 32 | reg[1]) / PAGE;
	*end = *first + ((uint64_t)reg[2] << 32 | reg[3]) / PAGE;
}

/* The child of the root with that phandle. */
static inline void reuse_find(uint32_t phandle, char *path, size_t room)
{
	DIR *root = opendir(DEVICE_TREE);
	struct dirent *entry;
	uint32_t cell;

	MUST(root, "open %s", DEVICE_TREE);
	while ((entry = readdir(root))) {
		snprintf(path, room, "%s/%.200s", DEVICE_TREE, entry->d_name);
		if (reuse_cells(path, "phandle", &cell, 1) && cell == phandle) {
			closedir(root);
			return;
		}
	}
	MUST(false, "no child of the device tree's root has phandle %u", phandle);
}

/* Reads the device tree. Skips the case where it describes nothing to reuse. */
static inline void reuse_need(void)
{
	const char *reserved = DEVICE_TREE "/reserved-memory";
	DIR *dir = opendir(reserved);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char node[300], memory[300], compatible[64] = "";
		struct reuse_region *r = &reuse_regions[reuse_count];
		uint32_t cell;
		FILE *f;

		snprintf(node, sizeof(node), "%s/%.200s/compatible", reserved, entry->d_name);
		f = fopen(node, "re");
		if (!f)
			continue;
		if (!fgets(compatible, sizeof(compatible), f))
			compatible[0] = 0;
		fclose(f);
		if (strcmp(compatible, "arm,mte-tag-storage"))
			continue;
		MUST(reuse_count < REUSE_REGIONS, "more than %d regions", REUSE_REGIONS);
		*strrchr(node, '/') = 0;
		reuse_range(node, &r->storage, &r->storage_end);
		MUST(reuse_cells(node, "block-size", &cell, 1) == 1, "no block-size");
		r->block = cell / PAGE;
		MUST(reuse_cells(node, "tagged-memory", &cell, 1) == 1, "no tagged-memory");
		reuse_find(cell, memory, sizeof(memory));
		reuse_range(memory, &r->base, &r->base_end);
		reuse_count++;
	}
	if (dir)
		closedir(dir);
	if (!reuse_count)
		SKIP("the device tree describes no tag storage to be reused");
	MUST(read_field("/proc/meminfo", "MetadataTotal") > 0,
	     "the device tree describes tag storage, and the kernel does not reuse it");
}

/* Whether a page frame is tag storage. */
static inline bool is_storage(uint64_t pfn)
{
	int i;

	for (i = 0; i < reuse_count; i++)
		if (pfn >= reuse_regions[i].storage && pfn < reuse_regions[i].storage_end)
			return true;
	return false;
}

/* The first page of the block with the tags of a page frame, and how many pages that has. */
static inline uint64_t block_of(uint64_t pfn, unsigned int *pages)
{
	int i;

	for (i = 0; i < reuse_count; i++) {
		struct reuse_region *r = &reuse_regions[i];

		if (pfn < r->base || pfn >= r->base_end)
			continue;
		*pages = r->block;
		return r->storage + (pfn - r->base) / (STORAGE_PER_PAGE * r->block) * r->block;
	}
	MUST(false, "frame %#llx has no tags", (unsigned long long)pfn);
	return 0;
}

/* --- what it is used for ------------------------------------------------------- */

/* In pages. */
struct reuse {
	long total, free, reserved, data;
};

/* By the counters. */
static inline struct reuse reuse_counters(void)
{
	struct reuse now;

	/* Per-CPU differences are folded first (mm/vmstat.c, vmstat_refresh()). */
	write_file("/proc/sys/vm/stat_refresh", "1");
	now.total = meminfo_kb("MetadataTotal") * 1024 / PAGE;
	now.free = vmstat("nr_free_metadata");
	now.reserved = vmstat("metadata_reserve_success") - vmstat("metadata_reserve_free");
	now.data = now.total - now.free - now.reserved;
	return now;
}

/* By the flags of each page, which the counters have no part in. */
static inline struct reuse reuse_pages(void)
{
	uint64_t pfn, flags[KPAGEFLAGS];
	struct reuse now = { 0 };
	size_t j, n;
	int i;

	for (i = 0; i < reuse_count; i++) {
		struct reuse_region *r = &reuse_regions[i];

		for (pfn = r->storage; pfn < r->storage_end; pfn += n) {
			n = kpageflags(pfn, r->storage_end, flags);
			for (j = 0; j < n; j++) {
				now.total++;
				now.free += flags[j] >> KPF_BUDDY & 1;
				now.reserved += flags[j] >> KPF_RESERVED & 1;
			}
		}
	}
	now.data = now.total - now.free - now.reserved;
	return now;
}

/* The counters are what the pages are, exactly; waits for what is on its way. */
static inline struct reuse reuse_check(const char *when)
{
	struct reuse said = { 0 }, seen = { 0 };
	int i;

	for (i = 0; i < 200; i++) {
		said = reuse_counters();
		seen = reuse_pages();
		if (said.total == seen.total && said.free == seen.free && said.reserved == seen.reserved)
			return said;
		usleep(10000);
	}
	CHECK_EQ(said.total, seen.total, "%s: MetadataTotal in pages, and pages there are", when);
	CHECK_EQ(said.free, seen.free, "%s: nr_free_metadata, and pages in the buddy", when);
	CHECK_EQ(said.reserved, seen.reserved, "%s: reserved minus freed, and reserved pages", when);
	return said;
}

/* Says which page frames hold a reference to their storage: a few of them. */
static inline void reuse_note_holders(void)
{
	uint64_t pfn, flags[KPAGEFLAGS];
	int i, said = 0;
	size_t j, n;

	for (i = 0; i < reuse_count; i++) {
		struct reuse_region *r = &reuse_regions[i];

		for (pfn = r->base; pfn < r->base_end && said < 8; pfn += n) {
			n = kpageflags(pfn, r->base_end, flags);
			for (j = 0; j < n && said < 8; j++)
				if (flags[j] >> KPF_ARCH_4 & 1 && ++said)
					ktap_note("frame %#llx holds storage: kpageflags %#llx",
						  (unsigned long long)pfn + j,
						  (unsigned long long)flags[j]);
		}
	}
}

/* Storage is reserved for as many pages as `before`, in a second at most. */
static inline void reuse_back(const struct reuse *before, const char *when)
{
	struct reuse now;
	int i;

	for (i = 0; i < 100; i++) {
		/* Each CPU holds a few pages that it has yet to put on the LRU (fs/drop_caches.c). */
		write_file("/proc/sys/vm/drop_caches", "1");
		now = reuse_check(when);
		if (now.reserved == before->reserved)
			return;
		usleep(10000);
	}
	reuse_note_holders();
	CHECK_EQ(now.reserved, before->reserved, "%s: pages of storage still reserved", when);
}

/* The same where there was swap: what was read ahead stays in its cache as long as it is on. */
static inline void reuse_back_from_swap(const struct reuse *before)
{
	swap_none();
	reuse_back(before, "unmapped");
}

/*
 * Each page of [p, p + len) has storage, and is none. Only the flags of small pages
 * tell (kpageflags has the head's for the others).
 */
static inline void reuse_check_tagged(const void *p, size_t len, const char *when)
{
	size_t i, is = 0, lacks = 0;

	for (i = 0; i < len; i += PAGE) {
		char *page = (char *)untagged(p) + i;
		unsigned int pages, j;
		uint64_t pfn, block;

		/* It may have gone to swap meanwhile: a kernel's access checks no tags here. */
		MUST(madvise(page, PAGE, MADV_POPULATE_READ) == 0, "MADV_POPULATE_READ");
		pfn = pfn_of(page);
		if (is_storage(pfn)) {
			is++;
			continue;
		}
		block = block_of(pfn, &pages);
		for (j = 0; j < pages; j++)
			if (!kpageflag(block + j, KPF_RESERVED))
				break;
		lacks += j < pages || !kpageflag(pfn, KPF_ARCH_4);
	}
	CHECK_EQ(is, 0, "%s: tagged pages in tag storage", when);
	CHECK_EQ(lacks, 0, "%s: tagged pages whose storage is not reserved", when);
}

#endif
