/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_hugetlb
 * needs: CONFIG_HUGETLBFS CONFIG_MEMFD_CREATE CONFIG_PROC_PAGE_MONITOR
 * since: 6.13 25c17c4b55de
 * pages: 4K 16K
 * timeout: 60
 *
 * Hugetlb memory may have PROT_MTE. Its pages begin with tag 0 whatever their last owner
 * left, in the pool or before it, and keep tags and data through fork and copy-on-write and through a second mapping
 * of the file: set_huge_pte_at() and mte_sync_tags() (arch/arm64/mm/hugetlbpage.c,
 * kernel/mte.c), hugetlb_wp() (mm/hugetlb.c), copy_highpage() (arch/arm64/mm/copypage.c),
 * arch_clear_hugetlb_flags().
 */
#include "child.h"
#include "stale.h"
#include "taggable.h"

/* The pool of huge pages of the default size, which is HUGE. */
#define POOL "/proc/sys/vm/nr_hugepages"

/* At most half of a guest's memory is made stale. */
enum { COUNT = HUGE == 2 << 20 ? 8 : 4 };

/* Fills the pool with pages whose last owner left tag 15 in each granule. */
static void begin(void)
{
	char text[16];

	mte_need();
	pin_cpu(0);
	/* Pages of an earlier case go back, so that the pool is made of stale frames only. */
	write_file(POOL, "0");
	stale_fill(2 * COUNT * HUGE, true);
	snprintf(text, sizeof(text), "%d", COUNT);
	write_file(POOL, text);
	NEED(read_long(POOL) == COUNT, "the kernel gave no huge pages");
}

static char *huge_map(int flags, int fd, int prot)
{
	char *p = mmap(NULL, 2 * HUGE, prot, flags | MAP_HUGETLB, fd, 0);

	MUST(p != MAP_FAILED, "mmap of huge pages");
	return p;
}

static void fresh(int flags, const char *what)
{
	char *p;

	begin();
	p = huge_map(flags | MAP_ANONYMOUS, -1, PROT_RW_MTE);
	touch_write(p, 2 * HUGE);
	need_stale(p, 2 * HUGE, what);
	CHECK(smaps_flag(p, "mt"), "%s: no VM_MTE", what);
	tags_zero_check(p, 2 * HUGE, what);
	taggable_check(p, 2 * HUGE, what);
}

static void private_pages(void)
{
	fresh(MAP_PRIVATE, "private");
}

static void shared_pages(void)
{
	fresh(MAP_SHARED, "shared");
}

static void made_tagged(void)
{
	char *p;

	begin();
	p = huge_map(MAP_PRIVATE | MAP_ANONYMOUS, -1, PROT_RW);
	memset(p, 0x5a, 2 * HUGE);
	need_stale(p, 2 * HUGE, "untagged");
	check_made_tagged(p, 2 * HUGE, 0x5a, "untagged, then PROT_MTE");
}

/* The child writes first, so it gets the copy; then it changes tags that only it has. */
static void write_copy(char *p)
{
	touch_write(p, 2 * HUGE);
	need_stale(p, 2 * HUGE, "copy");
	pattern_check(p, 2 * HUGE, 1, "the child's copy");
	pattern_set(p, 2 * HUGE, 2);
}

static void copy_on_write(void)
{
	char *p;

	begin();
	p = huge_map(MAP_PRIVATE | MAP_ANONYMOUS, -1, PROT_RW_MTE);
	pattern_set(p, 2 * HUGE, 1);
	run_child(write_copy, p);
	pattern_check(p, 2 * HUGE, 1, "the parent's pages");
}

static void two_mappings(void)
{
	int fd = memfd_create("probe", MFD_HUGETLB);
	char *p, *q;

	begin();
	MUST(fd >= 0 && ftruncate(fd, 2 * HUGE) == 0, "memfd_create(MFD_HUGETLB)");
	p = huge_map(MAP_SHARED, fd, PROT_RW_MTE);
	q = huge_map(MAP_SHARED, fd, PROT_RW_MTE);
	pattern_set(p, 2 * HUGE, 1);
	pattern_check(q, 2 * HUGE, 1, "through the second mapping");
	MUST(munmap(p, 2 * HUGE) == 0, "munmap");
	q = huge_map(MAP_SHARED, fd, PROT_RW_MTE);
	pattern_check(q, 2 * HUGE, 1, "mapped again");
	close(fd);
}

/* The pool keeps pages that were unmapped, with the tags that they had. */
static void reused(void)
{
	uint64_t frame;
	char *p;

	begin();
	p = huge_map(MAP_PRIVATE | MAP_ANONYMOUS, -1, PROT_RW_MTE);
	pattern_set(p, 2 * HUGE, 1);
	frame = pfn_of(p);
	MUST(munmap(p, 2 * HUGE) == 0, "munmap");
	p = huge_map(MAP_PRIVATE | MAP_ANONYMOUS, -1, PROT_RW_MTE);
	touch_write(p, 2 * HUGE);
	NEED(pfn_of(p) == frame || pfn_of(p + HUGE) == frame, "the pool gave other pages");
	tags_zero_check(p, 2 * HUGE, "mapped again");
}

PROBE(CASE(private_pages), CASE(shared_pages), CASE(made_tagged), CASE(copy_on_write),
      CASE(two_mappings), CASE(reused));
