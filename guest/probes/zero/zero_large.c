/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_large
 * needs: CONFIG_TRANSPARENT_HUGEPAGE CONFIG_SHMEM CONFIG_PROC_PAGE_MONITOR
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

#define FILL (8UL << 20)

/* Sets "always" or "never" for one folio size; false if the kernel does not offer it. */
static bool mthp(size_t kb, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), THP_SYSFS "hugepages-%zukB/enabled", kb);
	return try_write_file(path, mode) == 0;
}

static void each_size(void)
{
	size_t kb, i, sizes = 0;

	mte_need();
	pin_cpu(0);
	for (kb = 16; kb <= 1024; kb *= 2) {
		size_t len = kb * 1024;
		char when[40], *p;

		if (!mthp(kb, "always"))
			continue;
		stale_fill_folios(len);
		snprintf(when, sizeof(when), "%zu kB folio", kb);
		p = aligned_map(2 * len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		*(volatile char *)(p + 3 * PAGE) = 0;
		stg(p + len + PAGE, 0);
		mthp(kb, "never");
		NEED(pagemap_count(p, 2 * len, PM_PRESENT) == 2 * len / PAGE,
		     "%s: not populated by a fault", when);
		NEED(in_large_folio(p) && pfn_of(p + len - PAGE) == pfn_of(p) + len / PAGE - 1,
		     "%s: not contiguous", when);
		need_stale(p, 2 * len, when);
		for (i = 0; i < 2 * len; i += PAGE)
			page_zero_check(p + i, when);
		pattern_set(p, 2 * len, kb);
		pattern_check(p, 2 * len, kb, when);
		sizes++;
	}
	MUST(sizes >= 6, "%zu folio sizes", sizes);
}

/* Folios that are populated untagged and become PROT_MTE afterwards. */
static void mprotect_folio(void)
{
	size_t len = 64 * 1024, i;
	char *p;

	mte_need();
	pin_cpu(0);
	MUST(mthp(64, "always"), "no 64 kB folios");
	stale_fill_folios(len);
	p = aligned_map(4 * len, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < 4 * len; i += len)
		*(volatile char *)(p + i) = 0;
	mthp(64, "never");
	NEED(in_large_folio(p), "no 64 kB folio");
	need_stale(p, 4 * len, "64 kB folios");
	/* The first folio at once, the second page by page, the third from its sixth page on. */
	MUST(mprotect(p, len, PROT_RW_MTE) == 0, "mprotect");
	for (i = len; i < 2 * len; i += PAGE)
		MUST(mprotect(p + i, PAGE, PROT_RW_MTE) == 0, "mprotect");
	MUST(mprotect(p + 2 * len + 5 * PAGE, 2 * len - 5 * PAGE, PROT_RW_MTE) == 0, "mprotect");
	tags_zero_check(p, 2 * len, "64 kB folio, mprotect(PROT_MTE)");
	tags_zero_check(p + 2 * len + 5 * PAGE, 2 * len - 5 * PAGE,
			"part of a 64 kB folio, mprotect(PROT_MTE)");
	pattern_set(p, 2 * len, 3);
	pattern_check(p, 2 * len, 3, "64 kB folio");
}

/* A 2 MiB folio of a tmpfs with huge=always, at an address at which no PMD can map it. */
static void tmpfs_fault_around(void)
{
	char dir[] = "/tmp/probe-huge-XXXXXX", path[64], byte = 1, *p;
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
	stale_fill(FILL, true);
	MUST(pwrite(fd, &byte, 1, HUGE / 2) == 1, "pwrite");
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
