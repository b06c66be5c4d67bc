/* SPDX-License-Identifier: MIT */
/*
 * Transparent huge pages and page migration for probes: get a huge page, prove
 * that it is one, split it, move a page to another frame, and leave stale tags
 * in free memory. Every helper ends the case (MUST) when it could not do so.
 *
 * Interfaces: Documentation/admin-guide/mm/transhuge.rst, madvise(2).
 */
#ifndef MTE_HARNESS_THP_H
#define MTE_HARNESS_THP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* sched_setaffinity(), mremap(); include this header first */
#endif
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#include "ktap.h"
#include "mte.h"
#include "procfs.h"

#define HUGE		(2UL << 20)
#define HUGE_PAGES	(HUGE / PAGE)
#define HUGE_GRANULES	(HUGE / GRANULE)
#define THP_SYSFS	"/sys/kernel/mm/transparent_hugepage/"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

#define PROT_RW		(PROT_READ | PROT_WRITE)
#define PROT_RW_MTE	(PROT_RW | PROT_MTE)

/* The per-CPU free lists make "freed here, allocated here" hold on one CPU only. */
static inline void pin_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity(%d)", cpu);
}

/*
 * `len` bytes at a multiple of 2 MiB, not populated. PROT_NONE memory on both
 * sides keeps the VMA from merging with another, whose huge pages smaps would add.
 */
static inline void *aligned_map(size_t len, int prot, int flags, int fd)
{
	char *room = mmap(NULL, len + 3 * HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at;

	MUST(room != MAP_FAILED, "mmap(%zu)", len + 3 * HUGE);
	at = (char *)(((uintptr_t)room + 2 * HUGE - 1) & ~(HUGE - 1));
	MUST(mmap(at, len, prot, flags | MAP_FIXED, fd, 0) == at, "mmap(%p, %zu)", at, len);
	return at;
}

/*
 * The sizes that this kernel gives anonymous memory and memfds, whatever was set
 * before: huge pages on request only, `small` ("always" or "never") for 64 kB,
 * and `shmem` for the huge pages of memfds.
 */
static inline void thp_sizes(const char *small, const char *shmem)
{
	write_file(THP_SYSFS "enabled", "madvise");
	write_file(THP_SYSFS "hugepages-64kB/enabled", small);
	write_file(THP_SYSFS "shmem_enabled", shmem);
}

/* Anonymous memory for `count` huge pages, MADV_HUGEPAGE, not populated. */
static inline void *thp_map(size_t count, int prot)
{
	void *p = aligned_map(count * HUGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	MUST(madvise(p, count * HUGE, MADV_HUGEPAGE) == 0, "MADV_HUGEPAGE");
	return p;
}

/* Proves that `count` huge pages are mapped by PMDs in the VMAs of [p, p + len). */
static inline void must_be_huge(const void *p, size_t len, size_t count)
{
	long kb = smaps_kb(p, len, "AnonHugePages") + smaps_kb(p, len, "ShmemPmdMapped");

	MUST(kb == (long)(count * HUGE / 1024), "%p is not mapped huge: %ld kB of %zu kB",
	     p, kb, count * HUGE / 1024);
}

/* The same, populated by a write to each huge page. */
static inline void *thp_alloc(size_t count, int prot)
{
	char *p = thp_map(count, prot);
	size_t i;

	for (i = 0; i < count; i++)
		*(volatile char *)(p + i * HUGE) = 0;
	must_be_huge(p, count * HUGE, count);
	return p;
}

/* Is the page at p part of a large folio? */
static inline bool in_large_folio(const void *p)
{
	uint64_t pfn = pfn_of(p);

	return kpageflag(pfn, KPF_COMPOUND_HEAD) || kpageflag(pfn, KPF_COMPOUND_TAIL);
}

/*
 * Splits the huge pages of [p, p + len) through debugfs into folios of 1 << order
 * pages. A folio that someone holds for a moment is skipped: try again.
 */
static inline void thp_split(const void *p, size_t len, int order)
{
	char text[100];
	int tries = 0;

	snprintf(text, sizeof(text), "%d,%p,%p,%d", getpid(), untagged(p),
		 (char *)untagged(p) + len, order);
	do {
		write_file("/sys/kernel/debug/split_huge_pages", text);
		(void)*(volatile char *)untagged(p);	/* a split unmaps shared memory */
	} while (order == 0 && in_large_folio(p) && ++tries < 100 && usleep(10000) == 0);
	MUST(order || !in_large_folio(p), "%p is still part of a large folio", p);
}

/*
 * Migrates the page at p to another frame. The kernel migrates a page away from
 * a frame that is to be taken out of service (mm/memory-failure.c,
 * soft_offline_page()): the one way to move a chosen page on a single node.
 * It gives up with EBUSY while the page waits in another CPU's LRU batch.
 */
static inline void move_page(void *p)
{
	uint64_t before = pfn_of(p);
	int tries, err = -1;

	for (tries = 0; tries < 100; tries++) {
		err = madvise(untagged(p), PAGE, MADV_SOFT_OFFLINE);
		if (err == 0 || errno != EBUSY)
			break;
		usleep(10000);
	}
	MUST(err == 0, "madvise(%p, MADV_SOFT_OFFLINE) after %d tries", p, tries);
	MUST(pfn_of(p) != before, "page %p did not move: still frame %#llx", p,
	     (unsigned long long)before);
}

/* --- stale tags ------------------------------------------------------------ */

/*
 * Frames that stale_fill() left with tag 15 in each granule, a bit each. 64 GiB
 * of frames; guests have far less.
 */
#define STALE_FRAMES	(1UL << 24)
static uint8_t *stale_frames;

/* How many present pages of [p, p + len) live in a frame that stale_fill() left. */
static inline size_t stale_pages(const void *p, size_t len)
{
	uint64_t entries[HUGE_PAGES];
	size_t i, j, n, count = 0;

	for (i = 0; i < len / PAGE; i += n) {
		n = len / PAGE - i < HUGE_PAGES ? len / PAGE - i : HUGE_PAGES;
		pagemap_read((const char *)p + i * PAGE, entries, n);
		for (j = 0; j < n; j++) {
			uint64_t pfn = entries[j] & PM_PFN_MASK;

			if (entries[j] & PM_PRESENT && pfn < STALE_FRAMES)
				count += stale_frames[pfn / 8] >> pfn % 8 & 1;
		}
	}
	return count;
}

/*
 * Makes `count` stale huge pages the next to be handed out. What the CPU's own list had
 * no room for lies in the buddy allocator, and others may come before it: those are
 * taken, and kept to the end of the case.
 */
static inline void stale_first(size_t count)
{
	char *found[8];
	size_t i, n = 0;

	MUST(count <= 8, "at most 8 huge pages");
	for (i = 0; i < 64 && n < count; i++) {
		char *p = aligned_map(HUGE, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

		madvise(p, HUGE, MADV_HUGEPAGE);
		*(volatile char *)p = 0;
		if (stale_pages(p, HUGE) == HUGE_PAGES)
			found[n++] = p;
	}
	while (n--)
		munmap(found[n], HUGE);
}

/*
 * Tags `count` huge pages, or 512 times as many small ones, with 15 and gives
 * them back to the page allocator, which hands the last freed out first (huge
 * ones: stale_first() sees to it). Remembers the frames for stale_pages().
 */
static inline void stale_fill(size_t count, bool huge)
{
	size_t i, j, len = count * HUGE;
	char *p = aligned_map(len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uint64_t entries[HUGE_PAGES];

	if (!stale_frames) {
		stale_frames = mmap(NULL, STALE_FRAMES / 8, PROT_RW,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		MUST(stale_frames != MAP_FAILED, "mmap of the frame bitmap");
	}
	madvise(p, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (i = 0; i < len; i += 2 * GRANULE)
		st2g(p + i, 15);
	if (huge)
		must_be_huge(p, len, count);
	for (i = 0; i < count; i++) {
		pagemap_read(p + i * HUGE, entries, HUGE_PAGES);
		for (j = 0; j < HUGE_PAGES; j++) {
			uint64_t pfn = entries[j] & PM_PFN_MASK;

			MUST(pfn < STALE_FRAMES, "frame %#llx is beyond the bitmap",
			     (unsigned long long)pfn);
			stale_frames[pfn / 8] |= 1 << pfn % 8;
		}
	}
	MUST(munmap(p, len) == 0, "munmap");
	if (huge)
		stale_first(count);
}

/* A test for stale tags means nothing in memory that had none. */
static inline void must_be_stale(const void *p, size_t len)
{
	MUST(stale_pages(p, len) > 0, "no page of %p+%zu reuses a frame with stale tags", p, len);
}

/* --- checks ------------------------------------------------------------------ */

/* How many bytes of [p, p + len) lie in words that are not all `value`. */
static inline size_t other_bytes(const void *p, unsigned char value, size_t len)
{
	const volatile uint64_t *word = untagged(p);
	uint64_t want = value * 0x0101010101010101ULL;
	size_t i, n = 0;

	for (i = 0; i < len / 8; i++)
		n += word[i] != want ? 8 : 0;
	return n;
}

/* Checks that the page at p has tag 0 everywhere and zero data. */
static inline void page_zero_check(const void *p, const char *when)
{
	tags_zero_check(untagged(p), PAGE, when);
	CHECK_EQ(other_bytes(p, 0, PAGE), 0, "%s: bytes of page %p that are not zero", when, p);
}

#endif
