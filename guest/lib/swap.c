/* SPDX-License-Identifier: MIT */
#include "swap.h"

#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "pin.h"

static char memcg_path[64];

/* On a board the variable is there and may be empty: no other device of it may be written. */
static const char *device(const char *variable, const char *of_a_guest)
{
	const char *given = getenv(variable);

	MUST(!given || *given, "the board has no device for this: %s is empty", variable);
	return given ? given : of_a_guest;
}

const char *swap_disk_path(void)
{
	return device("PROBE_SWAP_DISK", "/dev/vdb");
}

const char *swap_zram_path(void)
{
	return device("PROBE_ZRAM", "/dev/zram0");
}

void swap_disk_rotates(bool rotates)
{
	char link[128], path[PATH_MAX], queue[PATH_MAX + 32];

	snprintf(link, sizeof(link), "/sys/class/block/%s", strrchr(swap_disk_path(), '/') + 1);
	MUST(realpath(link, path), "%s", link);
	snprintf(queue, sizeof(queue), "%s/queue/rotational", path);
	if (access(queue, F_OK)) /* a partition has the queue of its disk */
		snprintf(queue, sizeof(queue), "%s/../queue/rotational", path);
	write_file(queue, rotates ? "1" : "0");
}

/*
 * Writes a version 1 swap header for `pages` pages (union swap_header,
 * include/linux/swap.h), or as many as the device has. Ends the case on a device whose
 * first page is neither blank nor a swap header, because it may hold a user's data.
 */
static void swap_format(const char *device, size_t pages)
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
	head.words[256] = 1; /* version, after 1024 bytes of boot block */
	head.words[257] = (pages < size / PAGE ? pages : size / PAGE) - 1; /* last_page */
	memcpy(head.bytes + PAGE - 10, "SWAPSPACE2", 10);
	MUST(pwrite(fd, &head, PAGE, 0) == PAGE && fsync(fd) == 0, "write %s", device);
	close(fd);
}

void swap_none(void)
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

void swap_add(const char *device, size_t pages, int priority)
{
	swap_format(device, pages);
	MUST(swapon(device, SWAP_FLAG_PREFER | priority) == 0, "swapon %s", device);
}

void zram_create(size_t bytes)
{
	const char *name = strrchr(swap_zram_path(), '/') + 1;
	char path[64], text[32];

	snprintf(path, sizeof(path), "/sys/block/%s/reset", name);
	write_file(path, "1");
	snprintf(path, sizeof(path), "/sys/block/%s/disksize", name);
	snprintf(text, sizeof(text), "%zu", bytes);
	write_file(path, text);
}

void swap_disk_of(size_t pages, bool rotating)
{
	swap_none();
	swap_disk_rotates(rotating);
	swap_add(SWAP_DISK, pages, 1);
}

void swap_disk(void)
{
	swap_disk_of(SWAP_ALL, true);
}

void swap_ssd(void)
{
	swap_disk_of(SWAP_ALL, false);
}

void swap_zram(void)
{
	swap_none();
	zram_create(256UL << 20);
	swap_add(SWAP_ZRAM, SWAP_ALL, 1);
}

void swap_begin(void (*device)(void))
{
	mte_need();
	pin_cpu(0);
	memcg_enter();
	device();
}

void memcg_write(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", memcg_path, file);
	write_file(path, text);
}

void memcg_enter(void)
{
	snprintf(memcg_path, sizeof(memcg_path), "/sys/fs/cgroup/probe-%d", getpid());
	try_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	MUST(mkdir(memcg_path, 0755) == 0 || errno == EEXIST, "mkdir %s", memcg_path);
	memcg_write("cgroup.procs", "0");
}

void memcg_reclaim(size_t bytes)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "%s/memory.reclaim", memcg_path);
	snprintf(text, sizeof(text), "%zu", bytes);
	/* EAGAIN: the cgroup had less than that to reclaim, which is fine. */
	MUST(try_write_file(path, text) == 0 || errno == EAGAIN, "write %s", path);
}

size_t pages_in_memory(const void *p, size_t len)
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

void wait_writeback(void)
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
	NEED(left == 0, "%ld pages still being written after 10 s", left);
}

/*
 * Maps the pages that are only in the swap cache, so that MADV_PAGEOUT finds them. A page
 * that was read ahead during the fault of another may be protected from all other reclaim
 * (mm/workingset.c lru_gen_refault(), mm/vmscan.c sort_folio()). This does nothing in
 * PROT_NONE memory, where no page can be mapped.
 */
static void map_swap_cache(void *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE) {
		char *page = (char *)untagged(p) + i;

		if (page_swapped(page) && pages_in_memory(page, PAGE))
			madvise(page, PAGE, MADV_POPULATE_READ);
	}
}

/*
 * Keeps this process's stack, heap and data in memory. If reclaim of the cgroup swapped
 * them out, their next use would read them in again, and with them, by read-ahead,
 * neighbouring swap slots: those of the pages that are to stay out.
 */
static void lock_own_memory(void)
{
	extern char __data_start[], _end[]; /* of the linker script */
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
 * Tries to swap out [p, p + len) from the CPU that this thread runs on. Folios wait in
 * LRU batches of the CPU that read them, or that took the interrupt when they had been
 * written (mm/swap.c); MADV_PAGEOUT and reclaim drain only the batches of their own CPU.
 */
static void page_out_try(void *p, size_t len, size_t left, bool reclaim)
{
	wait_writeback();
	if (!reclaim)
		map_swap_cache(p, len);
	madvise(p, len, MADV_PAGEOUT);
	if (reclaim)
		memcg_reclaim(left * PAGE);
}

void page_out(void *p, size_t len)
{
	int i, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t before;
	size_t left;

	MUST(sched_getaffinity(0, sizeof(before), &before) == 0, "sched_getaffinity");
	lock_own_memory();
	madvise(p, len, MADV_PAGEOUT);
	for (i = 0; i < 200 && ktap_in_time() && (left = pages_in_memory(p, len)); i++) {
		pin_cpu(i % cpus);
		page_out_try(p, len, left, i / cpus % 2 == 0);
	}
	MUST(sched_setaffinity(0, sizeof(before), &before) == 0, "sched_setaffinity");
	NEED(pages_in_memory(p, len) == 0, "%zu of %zu pages would not go out",
	     pages_in_memory(p, len), len / PAGE);
	/* For shared memory the swap entries are in the file, and not in page tables. */
	NEED(pagemap_count(p, len, PM_SWAP) == len / PAGE ||
		     smaps_kb(p, len, "Swap") >= (long)len / 1024,
	     "the pages went, but not to swap: %ld kB of %zu kB", smaps_kb(p, len, "Swap"),
	     len / 1024);
}

void touch_read(void *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		(void)*(volatile char *)((char *)untagged(p) + i);
}

void touch_write(void *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE) {
		volatile char *at = (char *)untagged(p) + i;

		__atomic_fetch_add(at, 0, __ATOMIC_SEQ_CST);
	}
}
