/* SPDX-License-Identifier: MIT */
#include "reuse_data.h"

static char *reuse_found;

/* Fills memory with plain data: each word holds its own address. */
static void plain_fill(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len / 8; i++)
		((uint64_t *)p)[i] = (uintptr_t)p + i * 8;
}

void plain_check(const char *p, size_t len, const char *when)
{
	size_t i, bad = 0;

	for (i = len / 8; i--;)
		if (((const uint64_t *)p)[i] != (uintptr_t)p + i * 8 && !bad++)
			ktap_note("%p: expected %#lx, saw %#llx", (void *)(p + i * 8),
				  (uintptr_t)p + i * 8,
				  (unsigned long long)((const uint64_t *)p)[i]);
	CHECK_EQ(bad, 0, "%s: wrong words of plain data", when);
}

void plain_end(char *p, size_t len, const char *when)
{
	size_t at, step;

	for (at = 0; at < len; at += step) {
		step = len - at < MB ? len - at : MB;
		plain_check(p + at, step, when);
		munmap(p + at, step);
	}
}

char *plain_memory(size_t *len)
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

		NEED(available > (long)(4 * MB), "no memory left, and %ld pages of storage free",
		     now.free);
		/* Reading the counters after each step is slow: take large steps while memory is free. */
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

char *reuse_fill(struct reuse *before, size_t *len)
{
	reuse_need();
	swap_disk();
	*before = reuse_check("before");
	return plain_memory(len);
}

size_t reuse_each(char *p, size_t len, bool (*found)(char *page))
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

static bool reuse_found_first(char *page)
{
	reuse_found = page;
	return false;
}

char *reuse_first(char *p, size_t len)
{
	NEED(reuse_each(p, len, reuse_found_first), "no data in storage");
	return reuse_found;
}

size_t reuse_in_storage(char *p, size_t len)
{
	return reuse_each(p, len, NULL);
}

/* The page frame of each page of [p, p + len), 0 for one not in memory. The caller frees it. */
static uint64_t *reuse_frames(const char *p, size_t len)
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

static int reuse_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

char *reuse_page_over(char *p, size_t len, uint64_t *wanted, size_t count, uint64_t *frame)
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
