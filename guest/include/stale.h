/* SPDX-License-Identifier: MIT */
/*
 * Free memory that is dirty: frames whose last owner left tag 15 in every
 * granule and data that is not zero, so that a page which is handed out without
 * being cleared, of tags or of data, shows.
 */
#ifndef MTE_HARNESS_STALE_H
#define MTE_HARNESS_STALE_H

#include "thp.h"	/* first: it defines _GNU_SOURCE */

#define DIRTY_FRAMES	(1UL << 24)	/* 64 GiB of frames, a bit each */
static uint8_t *dirty_frames;

/* Marks the frames of [p, p + len), or counts those that are marked. */
static inline size_t dirty_walk(const void *p, size_t len, bool mark)
{
	uint64_t entries[512];
	size_t i, j, n, count = 0;

	for (i = 0; i < len / PAGE; i += n) {
		n = len / PAGE - i < 512 ? len / PAGE - i : 512;
		pagemap_read((const char *)p + i * PAGE, entries, n);
		for (j = 0; j < n; j++) {
			uint64_t pfn = entries[j] & PM_PFN_MASK;

			if (!(entries[j] & PM_PRESENT))
				continue;
			MUST(pfn < DIRTY_FRAMES, "frame %#llx is beyond the bitmap",
			     (unsigned long long)pfn);
			if (mark)
				dirty_frames[pfn / 8] |= 1 << pfn % 8;
			count += dirty_frames[pfn / 8] >> pfn % 8 & 1;
		}
	}
	return count;
}

static inline void dirty_write(char *p, size_t len)
{
	size_t i;

	if (!dirty_frames) {
		dirty_frames = mmap(NULL, DIRTY_FRAMES / 8, PROT_RW,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		MUST(dirty_frames != MAP_FAILED, "mmap of the frame bitmap");
	}
	memset(p, 0xa5, len);
	for (i = 0; i < len; i += 2 * GRANULE)
		st2g(p + i, 15);
	dirty_walk(p, len, true);
}

/*
 * Dirties `len` bytes (a multiple of 2 MiB, in huge pages if `huge`) and frees
 * them. The allocator gives the last freed out first, on this CPU: pin_cpu().
 */
static inline void dirty_fill(size_t len, bool huge)
{
	char *p = aligned_map(len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	madvise(p, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	dirty_write(p, len);
	if (huge)
		must_be_huge(p, len, len / HUGE);
	MUST(munmap(p, len) == 0, "munmap");
}

/*
 * The same for folios of a size in between, `len` bytes, which the caller has
 * enabled: four free ones, each beside one that stays, for free blocks that
 * are neighbours become a larger one, which is handed out last.
 */
static inline void dirty_fill_folios(size_t len)
{
	char *p = aligned_map(8 * len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	size_t i;

	dirty_write(p, 8 * len);
	for (i = 0; i < 8; i += 2)
		MUST(munmap(p + i * len, len) == 0, "munmap");
}

/* A look for stale tags means nothing in clean frames: half of the pages must have been dirty. */
static inline void must_be_dirty(const void *p, size_t len, const char *when)
{
	size_t count = dirty_walk(p, len, false);

	MUST(count >= len / PAGE / 2, "%s: only %zu of %zu pages reuse dirty frames", when,
	     count, len / PAGE);
}

#endif
