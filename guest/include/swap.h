/* SPDX-License-Identifier: MIT */
/*
 * Swap for probes: devices, a memory cgroup, and page-out that proves itself.
 *
 * swap_disk(), swap_ssd() and swap_zram() leave exactly the named device as swap; a case
 * calls one of them first and depends on nothing an earlier case left.
 *
 * page_out() returns only when the pages are out of memory. MADV_PAGEOUT alone
 * does not do it: it starts an asynchronous write, and a fault then finds the
 * page, with its tags, still in the swap cache (mm/vmscan.c shrink_folio_list()
 * keeps a folio under writeback). mincore() tells: for a swap entry it answers
 * whether the swap cache has the page (mm/mincore.c). What is left in the swap
 * cache, or is mapped twice, goes through memory.reclaim of the case's cgroup.
 */
#ifndef MTE_HARNESS_SWAP_H
#define MTE_HARNESS_SWAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* sched_setaffinity(); include this header first */
#endif
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/swap.h>

#include "ktap.h"
#include "mte.h"
#include "procfs.h"

#define SWAP_DISK	"/dev/vdb"
#define SWAP_ZRAM	"/dev/zram0"
#define SWAP_ALL	(~0UL)
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_COLD
#define MADV_COLD	20
#endif

/* --- devices --------------------------------------------------------------- */

/*
 * Writes a version 1 swap header for `pages` pages (union swap_header,
 * include/linux/swap.h), or as many as the device has. Refuses a device whose
 * first page is neither blank nor a swap header: it may be someone's data.
 */
static inline void swap_format(const char *device, size_t pages)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);
	union {
		char bytes[PAGE];
		uint32_t words[PAGE / 4];
	} head;
	uint64_t size;
	size_t i, used = 0;

	MUST(fd >= 0, "open %s", device);
	MUST(ioctl(fd, BLKGETSIZE64, &size) == 0, "size of %s", device);
	MUST(pread(fd, &head, PAGE, 0) == PAGE, "read %s", device);
	for (i = 0; i < PAGE / 4; i++)
		used |= head.words[i];
	MUST(!used || !memcmp(head.bytes + PAGE - 10, "SWAPSPACE2", 10),
	     "%s is neither blank nor swap: not overwritten", device);
	memset(&head, 0, sizeof(head));
	head.words[256] = 1;	/* version, after 1024 bytes of boot block */
	head.words[257] = (pages < size / PAGE ? pages : size / PAGE) - 1; /* last_page */
	memcpy(head.bytes + PAGE - 10, "SWAPSPACE2", 10);
	MUST(pwrite(fd, &head, PAGE, 0) == PAGE && fsync(fd) == 0, "write %s", device);
	close(fd);
}

/* Ends all swapping: every page comes back to memory. */
static inline void swap_none(void)
{
	char line[300], *end;
	FILE *f;

	for (;;) {
		f = fopen("/proc/swaps", "re");
		MUST(f && fgets(line, sizeof(line), f), "read /proc/swaps");
		end = fgets(line, sizeof(line), f) ? strchr(line, ' ') : NULL;
		fclose(f);
		if (!end)
			return;
		*end = 0;
		MUST(swapoff(line) == 0, "swapoff %s", line);
	}
}

/* Swap on `device` of at most `pages`, beside what is on; a higher `priority` fills first. */
static inline void swap_add(const char *device, size_t pages, int priority)
{
	swap_format(device, pages);
	MUST(swapon(device, SWAP_FLAG_PREFER | priority) == 0, "swapon %s", device);
}

/* A fresh, empty zram disk. */
static inline void zram_create(size_t bytes)
{
	char text[32];

	write_file("/sys/block/zram0/reset", "1");
	snprintf(text, sizeof(text), "%zu", bytes);
	write_file("/sys/block/zram0/disksize", text);
}

/*
 * The disk, of at most `pages`. Rotating or not are two allocators (only the
 * second can swap a large folio whole) and two kinds of read-ahead: by swap
 * offset and by address (mm/swapfile.c, mm/swap_state.c).
 */
static inline void swap_disk_of(size_t pages, bool rotating)
{
	swap_none();
	write_file("/sys/block/vdb/queue/rotational", rotating ? "1" : "0");
	swap_add(SWAP_DISK, pages, 1);
}

static inline void swap_disk(void)
{
	swap_disk_of(SWAP_ALL, true);
}

static inline void swap_ssd(void)
{
	swap_disk_of(SWAP_ALL, false);
}

static inline void swap_zram(void)
{
	swap_none();
	zram_create(256UL << 20);
	swap_add(SWAP_ZRAM, SWAP_ALL, 1);
}

/* --- a memory cgroup of this case -------------------------------------------- */

static char memcg_path[64];

static inline void memcg_write(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", memcg_path, file);
	write_file(path, text);
}

/* A field of a flat-keyed file, e.g. memcg_stat("memory.events", "max"); -1 if absent. */
static inline long memcg_stat(const char *file, const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", memcg_path, file);
	return read_field(path, key);
}

/* Moves this process to a cgroup of its own; what it allocates from now on is charged there. */
static inline void memcg_enter(void)
{
	snprintf(memcg_path, sizeof(memcg_path), "/sys/fs/cgroup/probe-%d", getpid());
	try_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	MUST(mkdir(memcg_path, 0755) == 0 || errno == EEXIST, "mkdir %s", memcg_path);
	memcg_write("cgroup.procs", "0");
}

/* Reclaims up to `bytes` from this case's cgroup. */
static inline void memcg_reclaim(size_t bytes)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "%s/memory.reclaim", memcg_path);
	snprintf(text, sizeof(text), "%zu", bytes);
	/* EAGAIN: there was less than that to reclaim, which is of no interest. */
	MUST(try_write_file(path, text) == 0 || errno == EAGAIN, "write %s", path);
}

/* --- out and in ------------------------------------------------------------------ */

/* Pages of [p, p + len) that are in memory: mapped, in the page cache or the swap cache. */
static inline size_t pages_in_memory(const void *p, size_t len)
{
	unsigned char seen[1024];
	size_t i, j, n, count = 0;

	for (i = 0; i < len / PAGE; i += n) {
		n = len / PAGE - i < sizeof(seen) ? len / PAGE - i : sizeof(seen);
		MUST(mincore((char *)untagged(p) + i * PAGE, n * PAGE, seen) == 0, "mincore");
		for (j = 0; j < n; j++)
			count += seen[j] & 1;
	}
	return count;
}

/*
 * Waits until no page is being written: a folio under writeback cannot be dropped.
 * What a CPU has counted down but not yet handed in shows for as long as that CPU is
 * idle, unless the counters are folded first (mm/vmstat.c, vmstat_refresh()).
 */
static inline void wait_writeback(void)
{
	long left = 0;
	int i;

	for (i = 0; i < 5000; i++) {
		write_file("/proc/sys/vm/stat_refresh", "1");
		left = vmstat("nr_writeback");
		if (left == 0)
			return;
		usleep(2000);
	}
	CHECK_EQ(left, 0, "pages still being written after 10 s");
	_exit(111);
}

/*
 * Maps the pages that are in the swap cache only, for MADV_PAGEOUT to find. One
 * that was read ahead while another page's fault ran may be protected from all
 * other reclaim (mm/workingset.c lru_gen_refault(), mm/vmscan.c sort_folio()).
 * Not in PROT_NONE memory, which nothing is mapped in.
 */
static inline void map_swap_cache(void *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE) {
		char *page = (char *)untagged(p) + i;

		if (page_swapped(page) && pages_in_memory(page, PAGE))
			madvise(page, PAGE, MADV_POPULATE_READ);
	}
}

/*
 * Keeps this process's stack, heap and data in memory. Swapped out with the
 * rest of the cgroup, they would come back at once, and read their neighbours
 * in swap ahead: the very pages that are to be out.
 */
static inline void lock_own_memory(void)
{
	extern char __data_start[], _end[];	/* of the linker */
	unsigned long start = 0, end = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	MUST(f, "open /proc/self/maps");
	while (fgets(line, sizeof(line), f))
		if ((strstr(line, "[stack]") || strstr(line, "[heap]")) &&
		    smaps_header(line, &start, &end))
			MUST(mlock((void *)start, end - start) == 0, "mlock: %s", line);
	fclose(f);
	MUST(mlock(__data_start, _end - __data_start) == 0, "mlock(data)");
}

/*
 * One try to get [p, p + len) out, from one CPU: folios wait in batches of the
 * CPU that read them, or took the interrupt when they were written (mm/swap.c),
 * and both MADV_PAGEOUT and reclaim empty those of their own CPU only.
 */
static inline void page_out_try(void *p, size_t len, size_t left, bool reclaim)
{
	wait_writeback();
	if (!reclaim)
		map_swap_cache(p, len);
	madvise(p, len, MADV_PAGEOUT);
	if (reclaim)
		memcg_reclaim(left * PAGE);
}

/*
 * Takes all of [p, p + len) out of memory and proves it; the case has called
 * memcg_enter() before it touched them. Fails the case.
 */
static inline void page_out(void *p, size_t len)
{
	int i, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t before, one;
	size_t left;

	MUST(sched_getaffinity(0, sizeof(before), &before) == 0, "sched_getaffinity");
	lock_own_memory();
	madvise(p, len, MADV_PAGEOUT);
	for (i = 0; i < 200 && (left = pages_in_memory(p, len)); i++) {
		CPU_ZERO(&one);
		CPU_SET(i % cpus, &one);
		MUST(sched_setaffinity(0, sizeof(one), &one) == 0, "run on CPU %d", i % cpus);
		page_out_try(p, len, left, i / cpus % 2 == 0);
	}
	MUST(sched_setaffinity(0, sizeof(before), &before) == 0, "sched_setaffinity");
	MUST(pages_in_memory(p, len) == 0, "%zu of %zu pages would not go out",
	     pages_in_memory(p, len), len / PAGE);
	/* Shared memory has no swap entries in page tables, only in the file. */
	MUST(pagemap_count(p, len, PM_SWAP) == len / PAGE ||
	     smaps_kb(p, len, "Swap") >= (long)len / 1024,
	     "the pages went, but not to swap: %ld kB of %zu kB", smaps_kb(p, len, "Swap"),
	     len / 1024);
}

/* Reads one byte of each page: a read fault. With tag checks off. */
static inline void touch_read(void *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		(void)*(volatile char *)((char *)untagged(p) + i);
}

/* Writes back the byte that each page begins with: a write fault that changes nothing. */
static inline void touch_write(void *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE) {
		volatile char *at = (char *)untagged(p) + i;

		__atomic_fetch_add(at, 0, __ATOMIC_SEQ_CST);
	}
}

#endif
