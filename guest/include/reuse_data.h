/* SPDX-License-Identifier: MIT */
/*
 * Plain data in all of memory, so that tag storage (reuse.h) has to be emptied before
 * a page becomes tagged; and which page of them lies where.
 */
#ifndef MTE_HARNESS_REUSE_DATA_H
#define MTE_HARNESS_REUSE_DATA_H

#include <sys/wait.h>

#include "reuse.h"

/* Waits for a child, which found nothing wrong. */
static inline void child_must_end(pid_t pid, const char *who)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid, "waitpid");
	CHECK_EQ(status, 0, "status of %s", who);
}

/* Plain data of a page: the address of each word. */
static inline void plain_fill(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len / 8; i++)
		((uint64_t *)p)[i] = (uintptr_t)p + i * 8;
}

/*
 * From the end to the start: what is in swap is what was written first, and reading it
 * in turn would have each page written out just before it is read.
 */
static inline void plain_check(const char *p, size_t len, const char *when)
{
	size_t i, bad = 0;

	for (i = len / 8; i--;)
		if (((const uint64_t *)p)[i] != (uintptr_t)p + i * 8 && !bad++)
			ktap_note("%p: expected %#lx, saw %#llx", (void *)(p + i * 8), (uintptr_t)p + i * 8,
				  (unsigned long long)((const uint64_t *)p)[i]);
	CHECK_EQ(bad, 0, "%s: wrong words of plain data", when);
}

/*
 * Checks them for the last time: what was checked is unmapped at once, so that what is
 * in swap has where to go.
 */
static inline void plain_end(char *p, size_t len, const char *when)
{
	size_t at, step;

	for (at = 0; at < len; at += step) {
		step = len - at < MB ? len - at : MB;
		plain_check(p + at, step, when);
		munmap(p + at, step);
	}
}

/*
 * Plain data in ever more memory, until hardly any storage is free; how much that is.
 * Storage comes last (mm/page_alloc.c rmqueue_metadata()), so memory is full then, but
 * nothing has had to be reclaimed.
 */
static inline char *plain_memory(size_t *len)
{
	const size_t room = meminfo_kb("MemTotal") * 1024 & -MB;
	char *p = mmap(NULL, room, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct reuse now = reuse_counters();
	size_t step;

	MUST(p != MAP_FAILED, "mmap(%zu)", room);
	madvise(p, room, MADV_NOHUGEPAGE);
	for (*len = 0; *len < room && now.free > now.total / 50; *len += step) {
		long available = meminfo_kb("MemFree") * 1024;

		MUST(available > (long)(4 * MB), "no memory left, and %ld pages of storage free",
		     now.free);
		/* Each step ends with counters that take a while: small ones only at the end. */
		step = MB;
		if (available > (long)(96 * MB))
			step += (available / 2 - 48 * MB) & -MB;
		if (step > room - *len)
			step = room - *len;
		plain_fill(p + *len, step);
		now = reuse_counters();
	}
	munmap(p + *len, room - *len);
	return p;
}

/* How most cases begin: plain data in all of memory, beside a disk to swap to. */
static inline char *reuse_fill(struct reuse *before, size_t *len)
{
	reuse_need();
	swap_disk();
	*before = reuse_check("before");
	return plain_memory(len);
}

/* Calls `found` with each page of [p, p + len) that lies in tag storage; how many. */
static inline size_t reuse_each(char *p, size_t len, bool (*found)(char *page))
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entries[512];
	size_t i, j, n, count = 0;

	MUST(fd >= 0, "open /proc/self/pagemap");
	for (i = 0; i < len / PAGE; i += n) {
		n = len / PAGE - i < 512 ? len / PAGE - i : 512;
		MUST(pread(fd, entries, n * 8, ((uintptr_t)p / PAGE + i) * 8) == (ssize_t)n * 8,
		     "read /proc/self/pagemap");
		for (j = 0; j < n; j++) {
			if (!(entries[j] & PM_PRESENT) || !is_storage(entries[j] & PM_PFN_MASK))
				continue;
			count++;
			if (found && !found(p + (i + j) * PAGE))
				goto out;
		}
	}
out:
	close(fd);
	return count;
}

static char *reuse_found;

static inline bool reuse_found_first(char *page)
{
	reuse_found = page;
	return false;
}

/* The first page of [p, p + len) that lies in tag storage; there must be one. */
static inline char *reuse_first(char *p, size_t len)
{
	MUST(reuse_each(p, len, reuse_found_first), "no data in storage: nothing is tested");
	return reuse_found;
}

/* Pages of [p, p + len) that lie in tag storage. */
static inline size_t reuse_in_storage(char *p, size_t len)
{
	return reuse_each(p, len, NULL);
}

/* The frames of [p, p + len), 0 for what is not in memory; to be freed. */
static inline uint64_t *reuse_frames(const char *p, size_t len)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t i, bytes = len / PAGE * 8;
	uint64_t *frames = malloc(bytes);

	MUST(fd >= 0 && frames, "no pagemap, or no memory");
	MUST(pread(fd, frames, bytes, (uintptr_t)p / PAGE * 8) == (ssize_t)bytes,
	     "read /proc/self/pagemap");
	close(fd);
	for (i = 0; i < len / PAGE; i++)
		frames[i] = frames[i] & PM_PRESENT ? frames[i] & PM_PFN_MASK : 0;
	return frames;
}

static inline int reuse_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * A page of [p, p + len) that is no tag storage, and whose tags belong in one of the
 * `count` frames of storage at `wanted`: that is put in *frame. NULL: there is none.
 * Sorts them.
 */
static inline char *reuse_page_over(char *p, size_t len, uint64_t *wanted, size_t count,
				    uint64_t *frame)
{
	uint64_t *frames = reuse_frames(p, len), block, *found = NULL;
	unsigned int j, n;
	size_t i;

	qsort(wanted, count, sizeof(*wanted), reuse_order);
	for (i = 0; i < len / PAGE && !found; i++) {
		if (!frames[i] || is_storage(frames[i]))
			continue;
		block = block_of(frames[i], &n);
		for (j = 0; j < n && !found; j++, block++)
			found = bsearch(&block, wanted, count, sizeof(block), reuse_order);
	}
	free(frames);
	if (!found)
		return NULL;
	*frame = *found;
	return p + (i - 1) * PAGE;
}

#endif
