/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_file
 * needs: CONFIG_TMPFS CONFIG_MEMFD_CREATE CONFIG_SYSVIPC CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * Pages of memory files have tag 0 when they are first mapped with PROT_MTE, and again
 * after each way of dropping them; data from write() is kept. shmem clears only the data,
 * so it is mte_sync_tags() (arch/arm64/kernel/mte.c), called by set_ptes(), that clears
 * the tags, once in a page's life: a second mapping must not clear them again.
 */

#include <sys/shm.h>

#include "stale.h"
#include "swap.h"

#define LEN (48 * PAGE)

static void begin(void)
{
	mte_need();
	pin_cpu(0);
	stale_fill(STALE_SMALL, false);
}

static char *shared_mapping(int fd, int prot)
{
	return map_file(fd, LEN, prot, MAP_SHARED);
}

static char *private_mapping(int fd)
{
	return map_file(fd, LEN, PROT_RW_MTE, MAP_PRIVATE);
}

/* Populates one half by reads, the other by writes; checks that tags and data are 0. */
static void check_fresh(char *p, const char *when)
{
	size_t i;

	touch_read(p, LEN / 2);
	touch_write(p + LEN / 2, LEN / 2);
	need_stale(p, LEN, when);
	for (i = 0; i < LEN; i += PAGE)
		page_zero_check(p + i, when);
}

static void fresh_in(int fd)
{
	char *p = shared_mapping(fd, PROT_RW_MTE);

	check_fresh(p, "shared mapping");
	pattern_set(p, LEN, 1);
	pattern_check(shared_mapping(fd, PROT_RW_MTE), LEN, 1, "a second mapping");
}

static void memfd_shared(void)
{
	begin();
	fresh_in(memory_file(LEN));
}

static void tmpfs_shared(void)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);

	begin();
	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "O_TMPFILE in /dev/shm");
	fresh_in(fd);
}

static void sysv_shared(void)
{
	int id = shmget(IPC_PRIVATE, LEN, IPC_CREAT | 0600);
	char *p;

	begin();
	MUST(id >= 0, "shmget");
	p = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	MUST(p != (void *)-1, "shmat");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(SysV memory, PROT_MTE)");
	check_fresh(p, "SysV shared memory");
}

/* A hole of the file, mapped privately; if written first, by do_cow_fault(). */
static void memfd_private(void)
{
	begin();
	check_fresh(private_mapping(memory_file(LEN)), "private mapping");
}

/* Checks that data is as write() left it and that tags are 0; user space writes no page. */
static void check_written(char *p, const char *when)
{
	size_t i, bad = 0;

	for (i = 0; i < LEN; i += PAGE)
		bad += *(volatile uint64_t *)(p + i + 8) != i + 1;
	CHECK_EQ(bad, 0, "%s: pages that lost the data of write()", when);
	tags_zero_check(p, LEN, when);
	need_stale(p, LEN, when);
}

static int written_file(void)
{
	uint64_t words[PAGE / 8] = { 0 };
	int fd = memory_file(LEN);
	size_t i;

	for (i = 0; i < LEN; i += PAGE) {
		words[1] = i + 1;
		MUST(pwrite(fd, words, PAGE, i) == (ssize_t)PAGE, "pwrite");
	}
	return fd;
}

/* The pages are in the page cache: a read fault maps 16 of them at once (fault-around). */
static void written_then_shared(void)
{
	begin();
	check_written(shared_mapping(written_file(), PROT_RW_MTE), "write(), then mapped");
}

static void written_then_private(void)
{
	begin();
	check_written(private_mapping(written_file()), "write(), then mapped");
}

/* Copy-on-write of an untagged page in a PROT_MTE mapping. */
static void written_then_private_write(void)
{
	char *p;

	begin();
	p = private_mapping(written_file());
	stale_fill(STALE_SMALL, false); /* for the copies */
	touch_write(p, LEN);
	MUST(!(pagemap(p) & PM_FILE), "a write fault did not copy the page");
	check_written(p, "write(), then copied on write");
}

static void written_then_mprotect(void)
{
	char *p;

	begin();
	p = shared_mapping(written_file(), PROT_RW);
	touch_read(p, LEN);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	check_written(p, "write(), mapped, mprotect(PROT_MTE)");
}

/* A mapping without PROT_MTE is used before, beside and after one with PROT_MTE. */
static void untagged_mapping_beside(void)
{
	int fd = memory_file(LEN);
	char *plain, *p, *late;
	size_t i;

	begin();
	plain = shared_mapping(fd, PROT_RW);
	for (i = 0; i < LEN; i += PAGE)
		*(volatile uint64_t *)(plain + i + 8) = i + 1;
	p = shared_mapping(fd, PROT_RW_MTE);
	check_written(p, "first tagged mapping, after an untagged one");
	tags_zero_check(plain, LEN, "LDG through the untagged mapping");

	pattern_set(p, LEN, 2);
	touch_write(plain, LEN);
	late = shared_mapping(fd, PROT_RW);
	touch_write(late, LEN);
	pattern_check(p, LEN, 2, "tagged mapping, after untagged writes");
	MUST(mprotect(late, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	pattern_check(late, LEN, 2, "the late mapping made tagged");
	MUST(munmap(p, LEN) == 0 && munmap(late, LEN) == 0, "munmap");
	touch_write(plain, LEN);
	pattern_check(shared_mapping(fd, PROT_RW_MTE), LEN, 2, "mapped tagged again");
}

/* Checks the pages of a tagged file after `drop` has emptied it. */
static void refault(void (*drop)(int fd, char *p), const char *when)
{
	int fd = memory_file(LEN);
	char *p;

	begin();
	p = shared_mapping(fd, PROT_RW_MTE);
	pattern_set(p, LEN, 3);
	drop(fd, p);
	stale_fill(STALE_SMALL, false);
	check_fresh(p, when);
}

static void drop_punch(int fd, char *p)
{
	(void)p;
	MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN) == 0,
	     "fallocate(PUNCH_HOLE)");
}

static void drop_truncate(int fd, char *p)
{
	(void)p;
	MUST(ftruncate(fd, 0) == 0 && ftruncate(fd, LEN) == 0, "ftruncate");
}

static void drop_remove(int fd, char *p)
{
	(void)fd;
	MUST(madvise(p, LEN, MADV_REMOVE) == 0, "MADV_REMOVE");
}

static void drop_and_fallocate(int fd, char *p)
{
	drop_truncate(fd, p);
	stale_fill(STALE_SMALL, false);
	MUST(fallocate(fd, 0, 0, LEN) == 0, "fallocate");
}

static void punch_hole(void)
{
	refault(drop_punch, "after PUNCH_HOLE");
}

static void truncate_down_up(void)
{
	refault(drop_truncate, "after ftruncate down and up");
}

static void madv_remove(void)
{
	refault(drop_remove, "after MADV_REMOVE");
}

static void fallocated(void)
{
	refault(drop_and_fallocate, "after fallocate");
}

/* MADV_DONTNEED of a shared mapping keeps the file's pages, and so their tags. */
static void dontneed_keeps_file(void)
{
	char *p;

	begin();
	p = shared_mapping(memory_file(LEN), PROT_RW_MTE);
	pattern_set(p, LEN, 4);
	MUST(madvise(p, LEN, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	pattern_check(p, LEN, 4, "after MADV_DONTNEED of a shared file");
}

/* Truncation within a page zeroes its tail; the kept part does not change. */
static void truncate_inside_page(void)
{
	int fd = memory_file(LEN);
	char *p;
	size_t i, bad = 0;

	begin();
	p = shared_mapping(fd, PROT_RW_MTE);
	pattern_set(p, LEN, 5);
	MUST(ftruncate(fd, LEN - PAGE / 2) == 0 && ftruncate(fd, LEN) == 0, "ftruncate");
	pattern_check(p, LEN - PAGE / 2, 5, "before the end of the file");
	for (i = LEN - PAGE / 2; i < LEN; i++)
		bad += p[i] != 0;
	CHECK_EQ(bad, 0, "bytes beyond the truncation that are not zero");
}

PROBE(CASE(memfd_shared), CASE(tmpfs_shared), CASE(sysv_shared), CASE(memfd_private),
      CASE(written_then_shared), CASE(written_then_private), CASE(written_then_private_write),
      CASE(written_then_mprotect), CASE(untagged_mapping_beside), CASE(punch_hole),
      CASE(truncate_down_up), CASE(madv_remove), CASE(fallocated), CASE(dontneed_keeps_file),
      CASE(truncate_inside_page));
