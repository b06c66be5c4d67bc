/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_large
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_SHMEM CONFIG_PROC_PAGE_MONITOR
 * newer: 6.8 3485b88390b0 each_size mprotect_folio
 * timeout: 60
 *
 * Folios of sizes between a page and a huge page are mapped by one set_ptes() of many
 * pages: mte_sync_tags() must clear the tags of each of them, also of the last. Anonymous
 * folios of each size that the kernel offers; and pages of a huge tmpfs file, which
 * fault-around maps 16 at a time (filemap_map_folio_range()).
 */

#include <sys/mount.h>

#include "stale.h"
#include "swap.h"

#define FILL (4 * HUGE)

static void each_size(void)
{
	size_t count, i, sizes = 0;

	mte_need();
	pin_cpu(0);
	for (count = 4; count <= 256; count *= 2) {
		size_t len = count * PAGE;
		char when[40], *p;

		if (!folio_offered(len))
			continue;
		folio_write(len, "enabled", "always");
		stale_fill_folios(len, 4);
		snprintf(when, sizeof(when), "%zu kB folio", len / 1024);
		p = aligned_map(2 * len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		*(volatile char *)(p + 3 * PAGE) = 0;
		stg(p + len + PAGE, 0);
		folio_write(len, "enabled", "never");
		NEED(pagemap_count(p, 2 * len, PM_PRESENT) == 2 * len / PAGE,
		     "%s: not populated by a fault", when);
		NEED(in_large_folio(p) && pfn_of(p + len - PAGE) == pfn_of(p) + len / PAGE - 1,
		     "%s: not contiguous", when);
		need_stale(p, 2 * len, when);
		for (i = 0; i < 2 * len; i += PAGE)
			page_zero_check(p + i, when);
		pattern_set(p, 2 * len, len / 1024);
		pattern_check(p, 2 * len, len / 1024, when);
		sizes++;
	}
	MUST(sizes >= 6, "%zu folio sizes", sizes);
}

/* Folios that are populated untagged and become PROT_MTE afterwards. */
static void mprotect_folio(void)
{
	size_t len = FOLIO, i;
	char *p;

	mte_need();
	pin_cpu(0);
	folio_write(len, "enabled", "always");
	stale_fill_folios(len, 4);
	p = aligned_map(4 * len, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < 4 * len; i += len)
		*(volatile char *)(p + i) = 0;
	folio_write(len, "enabled", "never");
	NEED(in_large_folio(p), "no folio of 16 pages");
	need_stale(p, 4 * len, "folios of 16 pages");
	/* The first folio at once, the second page by page, the third from its sixth page on. */
	MUST(mprotect(p, len, PROT_RW_MTE) == 0, "mprotect");
	for (i = len; i < 2 * len; i += PAGE)
		MUST(mprotect(p + i, PAGE, PROT_RW_MTE) == 0, "mprotect");
	MUST(mprotect(p + 2 * len + 5 * PAGE, 2 * len - 5 * PAGE, PROT_RW_MTE) == 0, "mprotect");
	tags_zero_check(p, 2 * len, "folio, mprotect(PROT_MTE)");
	tags_zero_check(p + 2 * len + 5 * PAGE, 2 * len - 5 * PAGE,
			"part of a folio, mprotect(PROT_MTE)");
	pattern_set(p, 2 * len, 3);
	pattern_check(p, 2 * len, 3, "folio of 16 pages");
}

/* A folio of the size HUGE of a tmpfs with huge=always, at an address at which no PMD can map it. */
static void tmpfs_fault_around(void)
{
	char dir[] = "/tmp/probe-huge-XXXXXX", path[64], around[16], *p;
	size_t len = 64 * PAGE, i;
	int fd;

	mte_need();
	pin_cpu(0);
	MUST(mkdtemp(dir), "mkdtemp");
	MUST(mount("none", dir, "tmpfs", 0, "huge=always") == 0, "mount tmpfs huge=always");
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	MUST(fd >= 0 && ftruncate(fd, HUGE) == 0, "file in %s", dir);
	if (PAGE > 4096) { /* fault-around maps 64 kB unless told otherwise (mm/memory.c) */
		snprintf(around, sizeof(around), "%lu", 16 * PAGE);
		write_file("/sys/kernel/debug/fault_around_bytes", around);
	}
	stale_fill(FILL, true);
	/* A fault gets a huge page; a short write gets a small one in 6.16. */
	p = aligned_map(HUGE, PROT_RW, MAP_SHARED, fd);
	touch_read(p, PAGE);
	MUST(munmap(p, HUGE) == 0, "munmap");
	p = aligned_map(HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	p = mmap(p + PAGE, len, PROT_RW_MTE, MAP_SHARED | MAP_FIXED, fd, 16 * PAGE);
	MUST(p != MAP_FAILED, "mmap");
	(void)*(volatile char *)(p + 20 * PAGE);
	NEED(pagemap_count(p, len, PM_PRESENT) > 8, "fault-around mapped %zu pages",
	     pagemap_count(p, len, PM_PRESENT));
	touch_read(p, len);
	NEED(in_large_folio(p), "not a large folio");
	need_stale(p, len, "huge tmpfs file");
	for (i = 0; i < len; i += PAGE)
		page_zero_check(p + i, "page of a huge tmpfs file");
	pattern_set(p, len, 2);
	/* The rest of the folio, mapped later, has tag 0; the tags that were set are kept. */
	MUST(munmap(p, len) == 0, "munmap");
	p = aligned_map(HUGE, PROT_RW_MTE, MAP_SHARED, fd);
	pattern_check(p + 16 * PAGE, len, 2, "mapped again");
	tags_zero_check(p, 16 * PAGE, "pages of the folio before");
	tags_zero_check(p + 16 * PAGE + len, HUGE - len - 16 * PAGE, "pages of the folio after");
}

PROBE(CASE(each_size), CASE(mprotect_folio), CASE(tmpfs_fault_around));
