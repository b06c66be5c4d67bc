/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_paths
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR CONFIG_MEMCG CONFIG_MEMORY_FAILURE CONFIG_USERFAULTFD
 * disk: yes
 * destructive: moved
 * timeout: 480
 *
 * All tag storage holds data, and other memory is free: each way in which tags reach
 * another page must have the storage for it emptied, or must leave the page where it is.
 * mm/memory.c wp_page_copy(), do_swap_page(); mm/khugepaged.c; mm/migrate.c
 * move_to_new_folio(); mm/shmem.c shmem_swapin_folio(), also called by mm/userfaultfd.c
 * mfill_atomic_pte_continue(); kernel/fork.c by copy_page_range().
 */
#include "reuse_data.h"
#include "uffd.h"

#define LEN (2 * HUGE)

static struct reuse before;
static char *data;
static size_t data_len;
static uint8_t *in_storage; /* one byte per page of data */

static bool note_page(char *page)
{
	in_storage[(page - data) / PAGE] = 1;
	return true;
}

/* Fills tag storage with data, and frees the rest of memory. */
static void fill_storage(void)
{
	const size_t enough = (before.total - before.reserved) * 90 / 100;
	size_t i, run, pages, inside, tries;

	data = plain_memory(&data_len);
	pages = data_len / PAGE;
	in_storage = calloc(pages, 1);
	MUST(in_storage, "calloc");
	inside = reuse_each(data, data_len, note_page);
	/* kswapd may have unmapped pages, which are in the swap cache, and still in storage. */
	for (tries = 0; tries < 10 && inside < enough; tries++) {
		touch_read(data, data_len);
		memset(in_storage, 0, pages);
		inside = reuse_each(data, data_len, note_page);
	}
	NEED(inside >= enough, "%zu of %ld pages of storage hold data", inside, before.total);
	for (i = 0; i < pages; i += run) {
		for (run = 1; i + run < pages && in_storage[i + run] == in_storage[i]; run++)
			;
		if (!in_storage[i])
			MUST(madvise(data + i * PAGE, run * PAGE, MADV_DONTNEED) == 0,
			     "MADV_DONTNEED");
	}
}

/* Checks the data that was in tag storage. */
static void check_data(void)
{
	size_t i;

	for (i = 0; i < data_len / PAGE; i++)
		if (in_storage[i] && *(uint64_t *)(data + i * PAGE) != (uintptr_t)data + i * PAGE)
			plain_check(data + i * PAGE, PAGE, "data of tag storage");
}

static char *begin(int fd, bool paged_out)
{
	char *p;

	mte_need();
	reuse_need();
	thp_sizes("never", "never");
	memcg_enter();
	swap_disk();
	before = reuse_check("before");
	p = mte_map_aligned(LEN, HUGE, PROT_RW_MTE,
			    fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd);
	pattern_set(p, LEN, 1);
	if (paged_out)
		page_out(p, LEN);
	fill_storage();
	return p;
}

static void end(char *p)
{
	check_data();
	munmap(p, LEN);
	munmap(data, data_len);
	reuse_back_from_swap(&before);
}

static void write_in_child(char *p)
{
	touch_write(p, LEN);
	reuse_check_tagged(p, LEN, "the child's copy");
	pattern_check(p, LEN, 1, "the child's copy");
}

static void copied(void)
{
	char *p = begin(-1, false);

	run_child(write_in_child, p);
	pattern_check(p, LEN, 1, "the parent's");
	end(p);
}

static void swapped_in(void)
{
	char *p = begin(-1, true);

	pattern_check(p, LEN, 1, "swapped in");
	reuse_check_tagged(p, LEN, "swapped in");
	end(p);
}

static void file_swapped_in(void)
{
	int fd = memory_file(LEN);
	char *p;

	p = begin(fd, true);
	close(fd);
	pattern_check(p, LEN, 1, "swapped in");
	reuse_check_tagged(p, LEN, "swapped in");
	end(p);
}

/* UFFDIO_CONTINUE of file pages that are swapped out. */
static void continued(void)
{
	int uffd = uffd_open(UFFD_FEATURE_MINOR_SHMEM);
	int fd = memory_file(LEN);
	struct uffdio_continue more = { .range.len = LEN };
	char *p, *q;

	p = begin(fd, true);
	q = mte_map_aligned(LEN, HUGE, PROT_RW_MTE, MAP_SHARED, fd);
	close(fd);
	uffd_register(uffd, q, LEN, UFFDIO_REGISTER_MODE_MINOR);
	more.range.start = (uintptr_t)q;
	CHECK(ioctl(uffd, UFFDIO_CONTINUE, &more) == 0, "UFFDIO_CONTINUE: %s, %lld of %lu bytes",
	      strerror(errno), (long long)more.mapped, LEN);
	close(uffd);
	pattern_check(q, LEN, 1, "continued");
	reuse_check_tagged(q, LEN, "continued");
	munmap(q, LEN);
	end(p);
}

static void swapped_off(void)
{
	char *p = begin(-1, true);

	swap_none();
	reuse_check_tagged(p, LEN, "after swapoff");
	pattern_check(p, LEN, 1, "after swapoff");
	end(p);
}

/* A huge page gets the tag storage of all its pages at once, or is not made. */
static void collapsed(void)
{
	char *p = begin(-1, false);
	int i, tries, huge = 0;

	for (i = 0; i < 2; i++) {
		/* EAGAIN: a page is isolated or swapped out. ENOMEM: there is no tag storage. */
		int ret = -1;

		errno = EAGAIN;
		for (tries = 0; tries < 50 && ret && errno == EAGAIN; tries++) {
			touch_read(p + i * HUGE, HUGE);
			ret = madvise(p + i * HUGE, HUGE, MADV_COLLAPSE);
		}
		huge += !ret;
	}
	ktap_note("%d of 2 collapsed", huge);
	pattern_check(p, LEN, 1, "after MADV_COLLAPSE");
	end(p);
}

static void moved(void)
{
	char *p = begin(-1, false);
	size_t i, count = 0;

	/* Migration holds locks of other folios, so it does not wait for storage and may fail. */
	for (i = 0; i < LEN; i += 64 * PAGE)
		count += madvise(p + i, PAGE, MADV_SOFT_OFFLINE) == 0;
	ktap_note("%zu of %zu pages moved", count, LEN / (64 * PAGE));
	reuse_check_tagged(p, LEN, "migrated");
	pattern_check(p, LEN, 1, "migrated");
	write_file("/proc/sys/vm/compact_memory", "1");
	reuse_check_tagged(p, LEN, "compacted");
	pattern_check(p, LEN, 1, "compacted");
	end(p);
}

PROBE(CASE_SECONDS(copied, 120), CASE_SECONDS(swapped_in, 120), CASE_SECONDS(file_swapped_in, 120),
      CASE_SECONDS(continued, 120), CASE_SECONDS(swapped_off, 120), CASE_SECONDS(collapsed, 120),
      CASE_SECONDS(moved, 120));
