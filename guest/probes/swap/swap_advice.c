/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_advice
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * disk: read_ahead_by_offset read_ahead_by_address willneed cold advised_by_another_process protected_while_out moved_while_out given_up_while_out read_and_written_by_kernel becomes_tagged_disk
 * timeout: 60
 *
 * Tags and data of swapped memory are kept by all that changes a swap entry, or brings a
 * page in by another way than its own fault: read-ahead, advice, mlock, mprotect, mremap,
 * I/O by the kernel. Untagged pages that become PROT_MTE while they are swapped out have
 * tag 0.
 */

#include <sys/syscall.h>
#include <sys/uio.h>

#include "stale.h"
#include "swap.h"

#define LEN (32 * PAGE)

static char *swapped(void (*device)(void))
{
	char *p;

	swap_begin(device);
	p = tagged_map(LEN, 1);
	page_out(p, LEN);
	stale_fill(STALE_SMALL, false);
	return p;
}

/* Waits until asynchronous reads are done: mincore() counts pages that are up to date. */
static void need_come_in(void *p, size_t len, size_t pages, const char *how)
{
	int i;

	for (i = 0; i < 10000 && pages_in_memory(p, len) < pages; i++)
		usleep(1000);
	NEED(pages_in_memory(p, len) >= pages, "%s read only %zu pages", how,
	     pages_in_memory(p, len));
}

/* A fault reads neighbours ahead, which stay in the swap cache without their tags. */
static void read_ahead(void (*device)(void))
{
	char *p = swapped(device);
	size_t i;

	for (i = 0; i < LEN; i += 8 * PAGE)
		touch_read(p + i, PAGE);
	need_come_in(p, LEN, LEN / PAGE / 8 + 1, "read-ahead");
	NEED(pagemap_count(p, LEN, PM_PRESENT) == LEN / PAGE / 8,
	     "more pages are mapped than were touched");
	pattern_check(p, LEN, 1, "read ahead, then faulted");
	page_out(p, LEN);
	for (i = 0; i < LEN; i += 8 * PAGE)
		touch_read(p + i, PAGE);
	page_out(p, LEN); /* drops pages that were read ahead but not mapped */
	pattern_check(p, LEN, 1, "read ahead, dropped, faulted");
}

static void read_ahead_by_offset(void)
{
	read_ahead(swap_disk);
}

static void read_ahead_by_address(void)
{
	read_ahead(swap_ssd);
}

static void willneed(void)
{
	char *p = swapped(swap_disk);

	MUST(madvise(p, LEN, MADV_WILLNEED) == 0, "MADV_WILLNEED");
	need_come_in(p, LEN, LEN / PAGE, "MADV_WILLNEED");
	pattern_check(p, LEN, 1, "MADV_WILLNEED");
}

static void populated(void)
{
	char *p = swapped(swap_zram);

	MUST(mlock(p, LEN) == 0, "mlock");
	MUST(pagemap_count(p, LEN, PM_PRESENT) == LEN / PAGE, "mlock did not fault pages in");
	pattern_check(p, LEN, 1, "mlock");
	MUST(munlock(p, LEN) == 0, "munlock");
	page_out(p, LEN);
	pattern_check(p, LEN, 1, "munlock and swapped out again");
}

static void cold(void)
{
	char *p = swapped(swap_disk);

	touch_write(p, LEN / 2);
	MUST(madvise(p, LEN, MADV_COLD) == 0, "MADV_COLD");
	memcg_reclaim(LEN);
	pattern_check(p, LEN, 1, "MADV_COLD and reclaim");
}

static void advised_by_another_process(void)
{
	char *p = swapped(swap_disk);
	struct iovec range = { p, LEN };
	int fd;
	pid_t child;

	touch_write(p, LEN);
	fd = syscall(SYS_pidfd_open, getpid(), 0);
	MUST(fd >= 0, "pidfd_open");
	child = vfork();
	if (child == 0)
		_exit(syscall(SYS_process_madvise, fd, &range, 1, MADV_PAGEOUT, 0) != (long)LEN);
	wait_child(child);
	NEED(pagemap_count(p, LEN, PM_SWAP) == LEN / PAGE, "process_madvise swapped nothing");
	page_out(p, LEN);
	pattern_check(p, LEN, 1, "process_madvise(MADV_PAGEOUT)");
}

static void protected_while_out(void)
{
	static const int prots[] = { PROT_READ, PROT_NONE, PROT_NONE | PROT_MTE, PROT_EXEC };
	char *p = swapped(swap_disk);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		MUST(mprotect(p, LEN, prots[i]) == 0, "mprotect(%#x)", prots[i]);
		if (prots[i] & PROT_READ)
			pattern_check(p, LEN / 2, 1, "in under another protection");
		MUST(mprotect(p, LEN, PROT_RW) == 0, "mprotect(PROT_RW)");
	}
	pattern_check(p, LEN, 1, "protected while out");
}

static void moved_while_out(void)
{
	char *p = swapped(swap_disk), *to;

	to = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	NEED(pagemap_count(to, LEN, PM_SWAP) == LEN / PAGE, "mremap brought pages in");
	pattern_check(to, LEN, 1, "moved while out");
}

static void given_up_while_out(void)
{
	char *p = swapped(swap_disk);
	size_t i;

	MUST(madvise(p, LEN / 2, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	stale_fill(STALE_SMALL, false);
	touch_write(p, LEN / 2);
	for (i = 0; i < LEN / 2; i += PAGE)
		page_zero_check(p + i, "MADV_DONTNEED while out");
	pattern_check_from(p + LEN / 2, LEN / 2, 1, LEN / 2 / GRANULE, "the rest");
}

/* The first access to a swapped page is one by the kernel. */
static void read_and_written_by_kernel(void)
{
	char *p = swapped(swap_disk), byte;
	int ends[2], fd = open("/proc/self/mem", O_RDWR);
	size_t i;

	MUST(pipe(ends) == 0, "pipe");
	for (i = 0; i < LEN; i += 2 * PAGE) {
		/* Writes the first byte to the pipe, and reads it back, with tag checks off. */
		MUST(write(ends[1], p + i, 1) == 1 && read(ends[0], p + i, 1) == 1, "pipe");
		MUST(pread(fd, &byte, 1, (uintptr_t)(p + i + PAGE)) == 1, "pread /proc/self/mem");
		MUST(pwrite(fd, &byte, 1, (uintptr_t)(p + i + PAGE)) == 1, "pwrite /proc/self/mem");
	}
	pattern_check(p, LEN, 1, "faulted in by the kernel");
}

/* Untagged pages become PROT_MTE before or after they are swapped in. */
static void becomes_tagged(void (*device)(void))
{
	char *p;

	swap_begin(device);
	p = untagged_map(LEN);
	memset(p, 0x5a, LEN);
	page_out(p, LEN);
	stale_fill(STALE_SMALL, false);
	MUST(mprotect(p, LEN / 2, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	touch_read(p, LEN / 4);
	touch_write(p + LEN / 4, LEN * 3 / 4);
	need_stale(p, LEN, "swap-in");
	check_made_tagged(p, LEN, 0x5a, "swapped untagged");
}

static void becomes_tagged_disk(void)
{
	becomes_tagged(swap_disk);
}

static void becomes_tagged_zram(void)
{
	becomes_tagged(swap_zram);
}

PROBE(CASE(read_ahead_by_offset), CASE(read_ahead_by_address), CASE(willneed), CASE(populated),
      CASE(cold), CASE(advised_by_another_process), CASE(protected_while_out),
      CASE(moved_while_out), CASE(given_up_while_out), CASE(read_and_written_by_kernel),
      CASE(becomes_tagged_disk), CASE(becomes_tagged_zram));
