/* SPDX-License-Identifier: MIT */
/*
 * probe: swap_shmem
 * needs: CONFIG_SWAP CONFIG_ZRAM CONFIG_MEMFD_CREATE CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * disk: fault_disk shared_anonymous zero_data two_processes mapped_by_nobody by_read by_write by_sendfile by_fallocate by_willneed by_swapoff by_swapoff_unmapped by_untagged_mapping private_copy truncated_while_out punched_while_out
 * timeout: 60
 * smoke: yes
 *
 * Shared memory keeps its tags through swap: they belong to the page of the file, whether
 * it is mapped by one process, by two or by none, and are restored by whatever brings it
 * in: a fault, read(), write(), splice, swapoff, the copy of a private mapping.
 * arch_swap_restore() in shmem_swapin_folio(), shmem_unuse() (mm/shmem.c).
 */

#include <sys/sendfile.h>

#include "stale.h"
#include "swap.h"

#define LEN (24 * PAGE)

static int fd;

static char *shared_mapping(int prot)
{
	return map_file(fd, LEN, prot, MAP_SHARED);
}

/* Makes a memfd filled with pattern 1; returns a shared mapping of it. */
static char *tagged_file(void (*device)(void))
{
	char *p;

	swap_begin(device);
	fd = memory_file(LEN);
	p = shared_mapping(PROT_RW_MTE);
	pattern_set(p, LEN, 1);
	return p;
}

/* The same, swapped out; free memory is stale. */
static char *swapped_file(void (*device)(void))
{
	char *p = tagged_file(device);

	page_out(p, LEN);
	stale_fill(STALE_SMALL, false);
	return p;
}

static void faults(void (*device)(void))
{
	char *p = swapped_file(device);

	pattern_check(p, LEN, 1, "swapped in by a tag load");
	pattern_set(p, LEN, 2);
	page_out(p, LEN);
	touch_write(p, LEN);
	pattern_check(p, LEN, 2, "swapped in by a write");
	pattern_set(p, LEN, 3);
	page_out(p, LEN);
	touch_read(p, LEN);
	pattern_check(p, LEN, 3, "swapped in by a read");
}

static void fault_disk(void)
{
	faults(swap_disk);
}

static void fault_zram(void)
{
	faults(swap_zram);
}

static void shared_anonymous(void)
{
	char *p;

	swap_begin(swap_disk);
	p = mmap(NULL, LEN, PROT_RW_MTE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	pattern_set(p, LEN, 1);
	page_out(p, LEN);
	pattern_check(p, LEN, 1, "shared anonymous memory");
}

/* Pages of zero data are not written to the device, but their tags are saved. */
static void zero_data(void)
{
	char *p = tagged_file(swap_disk);
	size_t g;

	for (g = 0; g < LEN / GRANULE; g++)
		stzg(p + g * GRANULE, pattern_tag(1, g));
	page_out(p, LEN);
	pattern_check_tags(p, LEN, 1, "zero data, swapped in");
}

static void swap_in_child(char *p)
{
	page_out(p, LEN);
	pattern_check(p, LEN, 1, "child, mapped by two");
	pattern_set(p, LEN, 2);
	page_out(p, LEN);
}

static void two_processes(void)
{
	char *p = tagged_file(swap_disk);

	run_child(swap_in_child, p);
	pattern_check(p, LEN, 2, "parent, tags that the child set and swapped out");
}

static void mapped_by_nobody(void)
{
	char *p = tagged_file(swap_disk);

	MUST(munmap(p, LEN) == 0, "munmap");
	p = shared_mapping(PROT_RW_MTE); /* for page_out(); populates nothing */
	page_out(p, LEN);
	MUST(munmap(p, LEN) == 0, "munmap");
	stale_fill(STALE_SMALL, false);
	p = shared_mapping(PROT_RW_MTE);
	pattern_check(p, LEN, 1, "not mapped while it was swapped out");
}

/* read() swaps the page in without mapping it; its tags must be there when it is mapped. */
static void by_read(void)
{
	static char buffer[LEN];
	char *p = swapped_file(swap_disk);

	MUST(pread(fd, buffer, LEN, 0) == (ssize_t)LEN, "pread");
	NEED(pages_in_memory(p, LEN) == LEN / PAGE, "read() did not bring the pages in");
	pattern_check(p, LEN, 1, "brought in by read()");
}

static void by_write(void)
{
	char *p = swapped_file(swap_disk), byte;
	size_t i;

	for (i = 0; i < LEN; i += PAGE) {
		byte = pattern_data(1, i / GRANULE);
		MUST(pwrite(fd, &byte, 1, i) == 1, "pwrite");
	}
	pattern_check(p, LEN, 1, "brought in by write()");
}

static void by_sendfile(void)
{
	int sink = open("/dev/null", O_WRONLY);
	char *p = swapped_file(swap_disk);
	off_t at = 0;

	MUST(sink >= 0 && sendfile(sink, fd, &at, LEN) == (ssize_t)LEN, "sendfile");
	pattern_check(p, LEN, 1, "brought in by sendfile()");
}

static void by_fallocate(void)
{
	char *p = swapped_file(swap_disk);

	MUST(fallocate(fd, 0, 0, LEN) == 0, "fallocate");
	pattern_check(p, LEN, 1, "brought in by fallocate()");
}

static void by_willneed(void)
{
	char *p = swapped_file(swap_disk);

	MUST(madvise(p, LEN, MADV_WILLNEED) == 0, "MADV_WILLNEED");
	pattern_check(p, LEN, 1, "after MADV_WILLNEED");
}

static void by_swapoff(void)
{
	char *p = swapped_file(swap_disk);

	swap_none();
	MUST(pages_in_memory(p, LEN) == LEN / PAGE, "swapoff did not bring the pages in");
	pattern_check(p, LEN, 1, "brought in by swapoff");
}

static void by_swapoff_unmapped(void)
{
	char *p = swapped_file(swap_disk);

	MUST(munmap(p, LEN) == 0, "munmap");
	swap_none();
	pattern_check(shared_mapping(PROT_RW_MTE), LEN, 1, "unmapped, brought in by swapoff");
}

/* A mapping without PROT_MTE swaps the page in, and the tags are kept. */
static void by_untagged_mapping(void)
{
	char *p = swapped_file(swap_disk), *plain = shared_mapping(PROT_RW);

	touch_write(plain, LEN);
	pattern_check(p, LEN, 1, "brought in through an untagged mapping");
	page_out(plain, LEN);
	pattern_check(p, LEN, 1, "swapped out and in through an untagged mapping");
}

static void private_copy(void)
{
	char *p = swapped_file(swap_disk), *copy = map_file(fd, LEN, PROT_RW_MTE, MAP_PRIVATE);

	touch_write(copy, LEN);
	pattern_check(copy, LEN, 1, "private copy of a swapped page");
	pattern_set(copy, LEN, 2);
	page_out(copy, LEN);
	pattern_check(p, LEN, 1, "the file, after its copy was changed");
	pattern_check(copy, LEN, 2, "private copy, swapped");
}

/* Pages that are truncated while swapped out: the new pages have tag 0 and zero data. */
static void truncated_while_out(void)
{
	char *p = swapped_file(swap_disk);
	size_t i;

	MUST(ftruncate(fd, 0) == 0 && ftruncate(fd, LEN) == 0, "ftruncate");
	stale_fill(STALE_SMALL, false);
	touch_write(p, LEN);
	for (i = 0; i < LEN; i += PAGE)
		page_zero_check(p + i, "truncated while swapped");
}

static void punched_while_out(void)
{
	char *p = swapped_file(swap_disk);

	MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN / 2) == 0,
	     "fallocate(PUNCH_HOLE)");
	stale_fill(STALE_SMALL, false);
	tags_zero_check(p, LEN / 2, "punched while swapped");
	pattern_check_from(p + LEN / 2, LEN / 2, 1, LEN / 2 / GRANULE, "the rest of the file");
}

PROBE(CASE(fault_disk), CASE(fault_zram), CASE(shared_anonymous), CASE(zero_data),
      CASE(two_processes), CASE(mapped_by_nobody), CASE(by_read), CASE(by_write), CASE(by_sendfile),
      CASE(by_fallocate), CASE(by_willneed), CASE(by_swapoff), CASE(by_swapoff_unmapped),
      CASE(by_untagged_mapping), CASE(private_copy), CASE(truncated_while_out),
      CASE(punched_while_out));
