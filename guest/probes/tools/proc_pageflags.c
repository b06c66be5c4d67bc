/* SPDX-License-Identifier: MIT */
/*
 * probe: proc_pageflags
 * needs: CONFIG_ARM64_MTE CONFIG_PROC_PAGE_MONITOR CONFIG_TRANSPARENT_HUGEPAGE CONFIG_SWAP CONFIG_MEMCG
 * fixed: 6.18/6.12.57/6.1.158 f620d66af316 zero_page_is_not huge_page
 * disk: swapped_in
 * timeout: 30
 *
 * /proc/kpageflags shows the kernel's mark of a page whose tags are valid (bit 41,
 * PG_mte_tagged): it is set for every page that is mapped with PROT_MTE and never for
 * others, through fork, copy, swap and huge pages, and is cleared when the page is freed.
 * On 6.12 the bit shown is that of the folio's head page. arch/arm64/kernel/mte.c
 * mte_sync_tags(); mm/fault.c tag_clear_highpage(); mm/copypage.c copy_highpage();
 * include/linux/page-flags.h PAGE_FLAGS_CHECK_AT_PREP; fs/proc/page.c stable_page_flags().
 */
#include "pin.h"
#include "swap.h"
#include "thp.h"

enum { PAGES = 16, LEN = PAGES * PAGE, RW = PROT_READ | PROT_WRITE };

/* Checks the mark of each page of [p, p + len); all pages must be present. */
static void check_marks(char *p, size_t len, bool want, const char *what)
{
	size_t i, bad = 0;

	for (i = 0; i < len; i += PAGE)
		bad += page_flag(p + i, KPF_ARCH_2) != want;
	CHECK_EQ(bad, 0, "%s: pages of %zu that are%s marked as tagged", what, len / PAGE,
		 want ? " not" : "");
}

static void tagged_and_untagged(void)
{
	char *tagged, *plain;

	mte_need();
	tagged = mte_map(LEN);
	plain = untagged_map(LEN);
	memset(tagged, 1, LEN);
	memset(plain, 1, LEN);
	check_marks(tagged, LEN, true, "PROT_MTE");
	check_marks(plain, LEN, false, "without PROT_MTE");
}

static void mprotect_marks(void)
{
	char *p;

	mte_need();
	p = untagged_map(LEN);
	memset(p, 1, LEN);
	MUST(mprotect(p + 4 * PAGE, 4 * PAGE, RW | PROT_MTE) == 0, "mprotect");
	touch_read(p, LEN);
	check_marks(p, 4 * PAGE, false, "before the part made PROT_MTE");
	check_marks(p + 4 * PAGE, 4 * PAGE, true, "the part made PROT_MTE");
	check_marks(p + 8 * PAGE, LEN - 8 * PAGE, false, "behind the part made PROT_MTE");
}

/* All processes share the zero page: its tags are 0, and it is not marked (f620d66af316). */
static void zero_page_is_not(void)
{
	char *p;

	mte_need();
	p = mte_map(LEN);
	touch_read(p, LEN);
	NEED(page_flag(p, KPF_ZERO_PAGE), "a page that was only read is the zero page");
	check_marks(p, LEN, false, "zero page");
	memset(p, 1, LEN);
	check_marks(p, LEN, true, "written");
}

static void shared_memory(void)
{
	int fd = memory_file(LEN);
	char *plain, *tagged;

	mte_need();
	plain = map_file(fd, LEN, RW, MAP_SHARED);
	memset(plain, 1, LEN);
	check_marks(plain, LEN, false, "memfd without PROT_MTE");
	tagged = map_file(fd, LEN / 2, RW | PROT_MTE, MAP_SHARED);
	touch_read(tagged, LEN / 2);
	check_marks(tagged, LEN / 2, true, "memfd with PROT_MTE");
	check_marks(plain, LEN / 2, true, "the same pages in the mapping without PROT_MTE");
	check_marks(plain + LEN / 2, LEN / 2, false, "pages that are mapped only without PROT_MTE");
}

static void fork_and_copy(void)
{
	char *tagged, *plain;
	pid_t child;

	mte_need();
	tagged = mte_map(LEN);
	plain = untagged_map(LEN);
	memset(tagged, 1, LEN);
	memset(plain, 1, LEN);
	child = child_fork();
	if (!child) {
		uint64_t before = pfn_of(tagged);

		check_marks(tagged, LEN, true, "shared with the parent");
		memset(tagged, 2, LEN);
		memset(plain, 2, LEN);
		MUST(pfn_of(tagged) != before, "the write made no copy");
		check_marks(tagged, LEN, true, "the child's copy");
		check_marks(plain, LEN, false, "the child's copy without PROT_MTE");
		_exit(0);
	}
	wait_child(child);
	check_marks(tagged, LEN, true, "after fork");
	check_marks(plain, LEN, false, "after fork, without PROT_MTE");
}

static void swapped_in(void)
{
	char *tagged, *plain;

	swap_begin(swap_disk);
	tagged = mte_map(LEN);
	plain = untagged_map(LEN);
	memset(tagged, 1, LEN);
	memset(plain, 1, LEN);
	page_out(tagged, LEN);
	page_out(plain, LEN);
	touch_read(tagged, LEN);
	touch_read(plain, LEN);
	check_marks(tagged, LEN, true, "swapped in");
	check_marks(plain, LEN, false, "swapped in, without PROT_MTE");
}

/* Frames of freed tagged pages are not marked, neither while free nor in use again. */
static void freed_and_used_again(void)
{
	enum { MANY = 256 };
	static uint64_t frames[MANY];
	size_t i, j, again = 0, marked_free = 0, marked_used = 0;
	char *p;

	mte_need();
	pin_cpu(0);
	p = mte_map(MANY * PAGE);
	memset(p, 1, MANY * PAGE);
	for (i = 0; i < MANY; i++)
		frames[i] = pfn_of(p + i * PAGE);
	check_marks(p, MANY * PAGE, true, "before");
	munmap(p, MANY * PAGE);
	for (i = 0; i < MANY; i++)
		marked_free += kpageflag(frames[i], KPF_ARCH_2) && kpageflag(frames[i], KPF_BUDDY);
	CHECK_EQ(marked_free, 0, "free frames that are marked as tagged");
	p = untagged_map(MANY * PAGE);
	memset(p, 1, MANY * PAGE);
	for (i = 0; i < MANY; i++) {
		uint64_t frame = pfn_of(p + i * PAGE);

		for (j = 0; j < MANY && frames[j] != frame; j++)
			;
		if (j == MANY)
			continue;
		again++;
		marked_used += kpageflag(frame, KPF_ARCH_2);
	}
	NEED(again > 0, "no frame of the %d was used again", MANY);
	CHECK_EQ(marked_used, 0, "of %zu frames used again without PROT_MTE, marked as tagged",
		 again);
	/* The pages can be tagged again, as the lock bit was cleared too. */
	MUST(mprotect(p, MANY * PAGE, RW | PROT_MTE) == 0, "mprotect");
	touch_read(p, MANY * PAGE);
	check_marks(p, MANY * PAGE, true, "used again and made PROT_MTE");
	tags_zero_check(p, MANY * PAGE, "used again and made PROT_MTE");
}

static void huge_page(void)
{
	int tagged;

	mte_need();
	for (tagged = 0; tagged < 2; tagged++) {
		char *p = thp_alloc(1, tagged ? PROT_RW_MTE : PROT_RW);

		check_marks(p, 4 * PAGE, tagged, tagged ? "PROT_MTE" : "without PROT_MTE");
		thp_split(p, HUGE, 0);
		check_marks(p, HUGE, tagged,
			    tagged ? "PROT_MTE, split" : "without PROT_MTE, split");
		munmap(p, HUGE);
	}
}

PROBE(CASE(tagged_and_untagged), CASE(mprotect_marks), CASE(zero_page_is_not), CASE(shared_memory),
      CASE(fork_and_copy), CASE(swapped_in), CASE(freed_and_used_again), CASE(huge_page));
