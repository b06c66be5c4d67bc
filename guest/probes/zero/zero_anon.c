/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_anon
 * needs: CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 * smoke: yes
 *
 * New anonymous PROT_MTE memory has tag 0 in every granule and zero data, by whichever
 * access it is populated, in stale frames. Exercises vma_alloc_zeroed_movable_folio() and
 * tag_clear_highpage() (arch/arm64/mm/fault.c), mte_zero_clear_page_tags()
 * (arch/arm64/lib/mte.S), the __GFP_ZEROTAGS part of post_alloc_hook() (mm/page_alloc.c),
 * mte_sync_tags() and the PG_mte_* flags of a freed page (PAGE_FLAGS_CHECK_AT_PREP).
 */

#include <sys/syscall.h>

#include "fault.h"
#include "stale.h"
#include "swap.h"

#define LEN (64 * PAGE)

static void begin(void)
{
	mte_need();
	pin_cpu(0);
	memcg_enter();
	stale_fill(STALE_SMALL, false);
}

/* Checks that [p, p + len) is in stale frames and has tag 0 and data 0, and can be tagged. */
static void check_fresh(void *p, size_t len, const char *when)
{
	size_t i;

	need_stale(p, len, when);
	for (i = 0; i < len; i += PAGE)
		page_zero_check((char *)p + i, when);
	pattern_set(p, len, 7);
	pattern_check(p, len, 7, when);
}

static void write_first(void)
{
	char *p;
	size_t i;

	begin();
	p = mte_map(LEN);
	for (i = 0; i < LEN; i += PAGE)
		*(volatile char *)(p + i + i / PAGE) = 0;
	check_fresh(p, LEN, "written first");
}

static void read_first(void)
{
	char *p;

	begin();
	p = mte_map(LEN);
	touch_read(p, LEN);
	NEED(page_flag(p, KPF_ZERO_PAGE), "a read did not map the zero page");
	tags_zero_check(p, LEN, "zero page");
	touch_write(p, LEN);
	MUST(!page_flag(p, KPF_ZERO_PAGE), "a write left the zero page mapped");
	check_fresh(p, LEN, "read, then written");
}

/* A tag store to the zero page, which all processes share, must copy it. */
static void tag_store_on_zero_page(void)
{
	char *p;
	size_t i;

	begin();
	p = mte_map(LEN);
	touch_read(p, LEN);
	for (i = 0; i < LEN / 2; i += PAGE)
		stg(p + i + 5 * GRANULE, 9);
	tags_zero_check(p + LEN / 2, LEN / 2, "zero page, after tag stores beside it");
	for (i = 0; i < LEN / 2; i += PAGE) {
		CHECK_EQ(ldg(p + i + 5 * GRANULE), 9, "the tag stored to page %zu", i / PAGE);
		stg(p + i + 5 * GRANULE, 0);
	}
	check_fresh(p, LEN / 2, "tag store after a read");
}

static void tag_store_first(void)
{
	char *p;
	size_t i;

	begin();
	p = mte_map(LEN);
	for (i = 0; i < LEN; i += PAGE)
		stg(p + i + PAGE - GRANULE, 3);
	for (i = 0; i < LEN; i += PAGE) {
		CHECK_EQ(ldg(p + i + PAGE - GRANULE), 3, "the tag stored to page %zu", i / PAGE);
		stg(p + i + PAGE - GRANULE, 0);
	}
	check_fresh(p, LEN, "tag store first");
}

static void tag_load_first(void)
{
	char *p;

	begin();
	p = mte_map(LEN);
	tags_zero_check(p, LEN, "tag load first");
	touch_write(p, LEN);
	check_fresh(p, LEN, "tag load first");
}

static void kernel_writes_first(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	char *p;

	begin();
	p = mte_map(LEN);
	MUST(read(fd, p, LEN) == (ssize_t)LEN, "read /dev/zero");
	check_fresh(p, LEN, "read() first");
}

static void map_populate(void)
{
	void *p;

	begin();
	p = mmap(NULL, LEN, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	MUST(p != MAP_FAILED, "mmap(MAP_POPULATE)");
	NEED(pagemap_count(p, LEN, PM_PRESENT) == LEN / PAGE, "not populated");
	check_fresh(p, LEN, "MAP_POPULATE");
}

static void madv_populate(void)
{
	char *p;

	begin();
	p = mte_map(LEN);
	MUST(madvise(p, LEN, MADV_POPULATE_READ) == 0, "MADV_POPULATE_READ");
	tags_zero_check(p, LEN, "MADV_POPULATE_READ");
	MUST(madvise(p, LEN, MADV_POPULATE_WRITE) == 0, "MADV_POPULATE_WRITE");
	check_fresh(p, LEN, "MADV_POPULATE_WRITE");
}

static void shared_anonymous(void)
{
	char *p;

	begin();
	p = mmap(NULL, LEN, PROT_RW_MTE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap(MAP_SHARED | MAP_ANONYMOUS, PROT_MTE)");
	touch_read(p, LEN / 2);
	touch_write(p + LEN / 2, LEN / 2);
	check_fresh(p, LEN, "shared anonymous");
}

static void program_break(void)
{
	char *p, *old;

	begin();
	old = (char *)syscall(SYS_brk, 0);
	p = (char *)(((uintptr_t)old + PAGE - 1) & ~(PAGE - 1));
	MUST((char *)syscall(SYS_brk, p + LEN) == p + LEN, "brk");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(brk area, PROT_MTE)");
	touch_write(p, LEN);
	check_fresh(p, LEN, "brk");
}

/* Stack pages that become PROT_MTE before they are populated. */
static void stack(void)
{
	char here, *p;

	begin();
	p = (char *)(((uintptr_t)&here & ~(PAGE - 1)) - LEN - 8 * PAGE);
	*(volatile char *)p = 0; /* grows the VMA down to p */
	MUST(madvise(p, LEN, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(stack, PROT_MTE)");
	touch_write(p, LEN);
	check_fresh(p, LEN, "stack");
}

static void dontneed(void)
{
	char *p;

	begin();
	p = tagged_map(LEN, 1);
	stale_fill(STALE_SMALL, false);
	MUST(madvise(p, LEN, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	MUST(pagemap_count(p, LEN, PM_PRESENT) == 0, "pages are still there");
	touch_write(p, LEN);
	check_fresh(p, LEN, "MADV_DONTNEED and written");
}

/* After MADV_FREE a page keeps its tags until it is reclaimed; its successor has tag 0. */
static void madv_free(void)
{
	char *p;

	begin();
	swap_none();
	p = tagged_map(LEN, 1);
	MUST(madvise(p, LEN, MADV_FREE) == 0, "MADV_FREE");
	touch_write(p, LEN / 2); /* these are not freed any more */
	MUST(madvise(p + LEN / 2, LEN / 2, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	NEED(pagemap_count(p + LEN / 2, LEN / 2, PM_PRESENT) == 0,
	     "freed pages were not reclaimed");
	pattern_check(p, LEN / 2, 1, "MADV_FREE, then written");
	stale_fill(STALE_SMALL, false);
	touch_write(p + LEN / 2, LEN / 2);
	check_fresh(p + LEN / 2, LEN / 2, "MADV_FREE, reclaimed and written");
}

static void remapped_in_place(void)
{
	char *p;

	begin();
	p = tagged_map(LEN, 1);
	MUST(mmap(p, LEN, PROT_RW_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p,
	     "mmap(MAP_FIXED)");
	touch_write(p, LEN);
	check_fresh(p, LEN, "MAP_FIXED over tagged memory");
}

PROBE(CASE(write_first), CASE(read_first), CASE(tag_store_on_zero_page), CASE(tag_store_first),
      CASE(tag_load_first), CASE(kernel_writes_first), CASE(map_populate), CASE(madv_populate),
      CASE(shared_anonymous), CASE(program_break), CASE(stack), CASE(dontneed), CASE(madv_free),
      CASE(remapped_in_place));
