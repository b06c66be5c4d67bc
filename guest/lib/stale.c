/* SPDX-License-Identifier: MIT */
#include "stale.h"

#define FRAMES (1UL << 24) /* 64 GiB of page frames; guests have far less */

static uint8_t *frames; /* one bit per page frame: stale */

/* Marks the frames of [p, p + len) as stale if `mark`, and counts those that are. */
static size_t walk(const void *p, size_t len, bool mark)
{
	uint64_t entries[HUGE_PAGES];
	size_t i, j, n, count = 0;

	for (i = 0; i < len / PAGE; i += n) {
		n = len / PAGE - i < HUGE_PAGES ? len / PAGE - i : HUGE_PAGES;
		pagemap_read((const char *)p + i * PAGE, entries, n);
		for (j = 0; j < n; j++) {
			uint64_t pfn = entries[j] & PM_PFN_MASK;

			if (!(entries[j] & PM_PRESENT))
				continue;
			MUST(pfn < FRAMES, "frame %#llx is beyond the bitmap",
			     (unsigned long long)pfn);
			if (mark)
				frames[pfn / 8] |= 1 << pfn % 8;
			count += frames[pfn / 8] >> pfn % 8 & 1;
		}
	}
	return count;
}

/* Fills memory with the stale tag and byte, and remembers its frames. */
static void make_stale(char *p, size_t len)
{
	size_t i;

	if (!frames) {
		frames = mmap(NULL, FRAMES / 8, PROT_RW,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		MUST(frames != MAP_FAILED, "mmap of the frame bitmap");
	}
	memset(p, STALE_BYTE, len);
	for (i = 0; i < len; i += 2 * GRANULE)
		st2g(p + i, STALE_TAG);
	walk(p, len, true);
}

/*
 * Makes `count` stale huge pages the next huge pages to be handed out. Those for which
 * the CPU's own list had no room went back to the buddy allocator, which may hand out
 * others before them: these are taken here, and kept until the case ends.
 */
static void hand_out_first(size_t count)
{
	/* The others are at most 112 MiB, or 256 MiB where a huge page has 32. */
	enum { MOST = 32, OTHERS = HUGE == 2 << 20 ? 56 : 8 };
	char *found[MOST];
	size_t i, n = 0;

	MUST(count <= MOST, "at most %d huge pages", MOST);
	for (i = 0; i < count + OTHERS && n < count; i++) {
		char *p = aligned_map(HUGE, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

		madvise(p, HUGE, MADV_HUGEPAGE);
		*(volatile char *)p = 0;
		if (stale_pages(p, HUGE) == HUGE_PAGES)
			found[n++] = p;
	}
	while (n--) {
		/* The kernel has cleared its data; untagged memory keeps its tags. */
		memset(found[n], STALE_BYTE, HUGE);
		munmap(found[n], HUGE);
	}
}

void stale_fill(size_t len, bool huge)
{
	char *p;

	if (huge)
		HUGE_FITS();
	p = aligned_map(len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	madvise(p, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	make_stale(p, len);
	if (huge)
		need_huge(p, len, len / HUGE);
	MUST(munmap(p, len) == 0, "munmap");
	if (huge)
		hand_out_first(len / HUGE);
}

void stale_fill_folios(size_t len, size_t count)
{
	char *p = aligned_map(2 * count * len, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	size_t i;

	make_stale(p, 2 * count * len);
	for (i = 0; i < 2 * count; i += 2)
		MUST(munmap(p + i * len, len) == 0, "munmap");
}

char *stale_thp(size_t count, int prot)
{
	char *p;

	mte_need();
	pin_cpu(0);
	stale_fill(4 * HUGE, true);
	p = thp_alloc(count, prot);
	need_stale(p, count * HUGE, "huge pages");
	return p;
}

size_t stale_pages(const void *p, size_t len)
{
	return walk(p, len, false);
}

void stale_need(const char *file, int line, const void *p, size_t len, const char *when)
{
	size_t count = stale_pages(p, len), pages = len / PAGE;

	if (count < (pages + 1) / 2)
		ktap_untested(file, line, "%s: only %zu of %zu pages reuse stale frames", when,
			      count, pages);
}
