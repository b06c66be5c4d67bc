/* SPDX-License-Identifier: MIT */
#include "reuse.h"

#include <dirent.h>
#include <endian.h>

#define DEVICE_TREE "/proc/device-tree"
#define MAX_REGIONS 8

struct reuse_region reuse_regions[MAX_REGIONS];
int reuse_count;

/* Reads the cells of a property; returns how many, 0 if there is no such property. */
static size_t reuse_cells(const char *node, const char *property, uint32_t *cells, size_t room)
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

/* The first page frame of the only range of a node, and the one behind its last. */
static void reuse_range(const char *node, uint64_t *first, uint64_t *end)
{
	uint32_t reg[4];

	MUST(reuse_cells(node, "reg", reg, 4) == 4, "%s has no reg of four cells", node);
	*first = ((uint64_t)reg[0] << 32 | reg[1]) / PAGE;
	*end = *first + ((uint64_t)reg[2] << 32 | reg[3]) / PAGE;
}

/* Writes the path of the child of the root that has `phandle`. */
static void reuse_find(uint32_t phandle, char *path, size_t room)
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

void reuse_need(void)
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
		MUST(reuse_count < MAX_REGIONS, "more than %d regions", MAX_REGIONS);
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

bool is_storage(uint64_t pfn)
{
	int i;

	for (i = 0; i < reuse_count; i++)
		if (pfn >= reuse_regions[i].storage && pfn < reuse_regions[i].storage_end)
			return true;
	return false;
}

uint64_t block_of(uint64_t pfn, unsigned int *pages)
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

struct reuse reuse_counters(void)
{
	struct reuse now;

	/* Folds the per-CPU deltas into the counters (mm/vmstat.c, vmstat_refresh()). */
	write_file("/proc/sys/vm/stat_refresh", "1");
	now.total = meminfo_kb("MetadataTotal") * 1024 / PAGE;
	now.free = vmstat("nr_free_metadata");
	now.reserved = vmstat("metadata_reserve_success") - vmstat("metadata_reserve_free");
	now.data = now.total - now.free - now.reserved;
	return now;
}

/* The use of tag storage according to the flags of each page, independent of counters. */
static struct reuse reuse_pages(void)
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

struct reuse reuse_check(const char *when)
{
	struct reuse counters = { 0 }, pages = { 0 };
	int i;

	for (i = 0; i < 200; i++) {
		counters = reuse_counters();
		pages = reuse_pages();
		if (counters.total == pages.total && counters.free == pages.free &&
		    counters.reserved == pages.reserved)
			return counters;
		usleep(10000);
	}
	CHECK_EQ(counters.total, pages.total, "%s: MetadataTotal against pages of tag storage",
		 when);
	CHECK_EQ(counters.free, pages.free, "%s: nr_free_metadata against free pages", when);
	CHECK_EQ(counters.reserved, pages.reserved,
		 "%s: metadata_reserve_success minus _free against reserved pages", when);
	return counters;
}

/* Prints the first page frames that hold a reference to their tag storage. */
static void reuse_note_holders(void)
{
	uint64_t pfn, flags[KPAGEFLAGS];
	int i, printed = 0;
	size_t j, n;

	for (i = 0; i < reuse_count; i++) {
		struct reuse_region *r = &reuse_regions[i];

		for (pfn = r->base; pfn < r->base_end && printed < 8; pfn += n) {
			n = kpageflags(pfn, r->base_end, flags);
			for (j = 0; j < n && printed < 8; j++)
				if (flags[j] >> KPF_ARCH_4 & 1 && ++printed)
					ktap_note("frame %#llx holds storage: kpageflags %#llx",
						  (unsigned long long)pfn + j,
						  (unsigned long long)flags[j]);
		}
	}
}

void reuse_back(const struct reuse *before, const char *when)
{
	struct reuse now;
	int i;

	for (i = 0; i < 100; i++) {
		/* Each CPU's LRU batch may hold pages; drop_caches drains them (fs/drop_caches.c). */
		write_file("/proc/sys/vm/drop_caches", "1");
		now = reuse_check(when);
		if (now.reserved == before->reserved)
			return;
		usleep(10000);
	}
	reuse_note_holders();
	CHECK_EQ(now.reserved, before->reserved, "%s: pages of storage still reserved", when);
}

void reuse_back_from_swap(const struct reuse *before)
{
	swap_none();
	reuse_back(before, "unmapped");
}

void reuse_check_tagged(const void *p, size_t len, const char *when)
{
	size_t i, is = 0, lacks = 0;

	for (i = 0; i < len; i += PAGE) {
		char *page = (char *)untagged(p) + i;
		unsigned int pages, j;
		uint64_t pfn, block;

		/* Faults the page in if it was swapped out; MADV_POPULATE_READ is not tag-checked. */
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
